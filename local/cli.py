"""The command line: the same use cases as the functions, with the same environment, from wherever you are.

.venv/bin/desktop-images plan
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from cloud_desktop import CloudDesktopError
from image_pipeline.adapters import Adapters
from image_pipeline.app import app as composition_root
from image_pipeline.clean_up import clean_up
from image_pipeline.copies import Copy, State, answer
from image_pipeline.pins import BusyCopyError, NoSuchCopyError, set_pin
from image_pipeline.planning import make_plan
from image_pipeline.retention import plan_table
from image_pipeline.start import route_for, start
from image_pipeline.sweep import sweep as run_sweep
from local.redrive import redrive_queue

cli = typer.Typer(
    name="desktop-images",
    help="Copy compute images to Cloud Desktop and retire old ones, by hand. The settings are the functions' own "
    "environment variables: COPIES_TABLE, POLL_QUEUE_URL, IMAGE_POLICY, YC_... (see README).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Folder = Annotated[str, typer.Argument(help="Target folder.")]
Image = Annotated[str, typer.Argument(help="Source compute image.")]


@contextmanager
def _pipeline() -> Iterator[Adapters]:
    """Give the adapters; an error becomes one sentence on standard error and exit status 1."""
    try:
        with composition_root().invocation(None, quiet=True) as adapters:
            yield adapters
    except (CloudDesktopError, ClientError, BotoCoreError, NoSuchCopyError, BusyCopyError, ValueError) as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(1) from None


@cli.command()
def copies(state: Annotated[State | None, typer.Option(help="Only copies in this state.")] = None) -> None:
    """List the copies in the ledger."""
    with _pipeline() as adapters:
        _show([copy for copy in adapters.ledger.copies() if state in {None, copy.state}])


@cli.command()
def copy(
    image: Image,
    folder: Annotated[str | None, typer.Option(help="Target folder; left out, the route gives it.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the desktop image.")] = None,
) -> None:
    """Begin one copy, or make an ended one again. Safe to repeat."""
    with _pipeline() as adapters:
        found = adapters.cloud.compute_images.get(image)
        result = start(adapters, found, route_for(adapters, found, folder), folder_id=folder, name=name, again=True)
        typer.echo(f"{result.outcome}: {result.reason}")
        if result.copy:
            _show([result.copy])


@cli.command()
def sweep() -> None:
    """Compare the world with the policy now: start what is missing, wake what sleeps too long."""
    with _pipeline() as adapters:
        report = run_sweep(adapters).answer()
        typer.echo(json.dumps({key: value for key, value in report.items() if key != "started"}, indent=2))


@cli.command()
def plan() -> None:
    """Show what cleanup would do, and why, for every desktop image. Changes nothing."""
    with _pipeline() as adapters:
        typer.echo(plan_table(make_plan(adapters)), nl=False)


@cli.command()
def cleanup() -> None:
    """Carry the cleanup plan out, where the policy says `apply`."""
    with _pipeline() as adapters:
        report = clean_up(adapters)
        typer.echo(plan_table(report.plan))
        typer.echo(report.message)


@cli.command()
def runs(most: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 10) -> None:
    """Show the last cleanup runs, the newest first."""
    with _pipeline() as adapters:
        for run in adapters.ledger.runs(most):
            typer.echo(f"{run['madeAt']}  {run['message']}  {run['summary']}")


@cli.command()
def pin(folder: Folder, image: Image) -> None:
    """Keep the desktop image of this copy, whatever the plan says."""
    _pin(folder, image, pinned=True)


@cli.command()
def unpin(folder: Folder, image: Image) -> None:
    """Take the pin off again."""
    _pin(folder, image, pinned=False)


@cli.command()
def redrive(
    dead_letters: Annotated[str, typer.Argument(help="URL of the dead-letter queue to empty.")],
    most: Annotated[int, typer.Option(min=1, max=10000, help="How many messages at the most.")] = 100,
) -> None:
    """Put dead letters back to work: wake-ups into the queue, failed events to where they were going."""
    with _pipeline() as adapters:
        report = redrive_queue(adapters, composition_root().client("sqs"), dead_letters, most=most)
        typer.echo(f"{report.redriven} redriven, {report.left} left where they are")
        for reason, count in report.reasons.items():
            typer.echo(f"  {count} left: {reason}")
        if report.left:
            raise typer.Exit(1)


def _pin(folder: str, image: str, *, pinned: bool) -> None:
    with _pipeline() as adapters:
        stored = set_pin(adapters, folder, image, pinned=pinned)
        typer.echo(f"{stored.name} is {'pinned' if stored.pinned else 'not pinned'}")


def _show(rows: list[Copy]) -> None:
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        typer.echo(json.dumps([answer(row) for row in rows], indent=2))
        return
    table = Table("folder", "source image", "desktop image", "state", "reason")
    for row in rows:
        table.add_row(row.folder_id, row.image_id, row.name, row.state.value, row.reason)
    console.print(table)


def main() -> Any:
    """Run the command line."""
    return cli()


if __name__ == "__main__":
    main()
