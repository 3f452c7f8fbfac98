"""The pipeline that turns compute images into desktop images and retires old ones.

Pure modules decide (they take values and return values, and know no network):

    policy  settings  events  selection  naming  copies  schedule  state_machine  retention

Adapters act and decide nothing: ledger, wake_ups, notices, trail_files, policy_source, telemetry.
Use cases join the two: follow, start, sweep, clean_up. `app` is the one composition root.
"""
