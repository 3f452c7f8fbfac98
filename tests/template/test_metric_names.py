"""Alarms and dashboard may only show metrics that the pipeline sends."""

from __future__ import annotations

import json

from local.host import Template
from tests.template.conftest import ROOT, resolved

PIPELINE = ROOT / "layers" / "desktop-images" / "image_pipeline"


def test_each_watched_metric_is_sent_somewhere(template: Template) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in PIPELINE.glob("*.py"))
    alarms = resolved(template, "AWS::CloudWatch::Alarm").values()
    watched = {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == "DesktopImages"}
    (dashboard,) = resolved(template, "AWS::CloudWatch::Dashboard").values()
    for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
        watched |= {name for namespace, name, *_ in widget["properties"]["metrics"] if namespace == "DesktopImages"}
    assert {name for name in watched if f'"{name}"' not in code} == set()
