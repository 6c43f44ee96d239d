"""The table of all runs."""

from tests.clients.runs import Run

WIDTH = 200  # characters of a problem


def format_runs(runs: list[Run]) -> str:
    """Return the table, and below it the problems of each client."""
    rows = [
        ("client", "version", "steps", "requests", "charged", "seconds", "result"),
        *map(_format_run, runs),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    problems = [
        f"  {run.client.name}: {' '.join(problem.split())[: WIDTH * 2]}"
        for run in runs
        for problem in ([run.absent] if run.absent else run.problems)
    ]
    return "\n".join(["", *(line.rstrip() for line in lines), "", *problems])


def _format_run(run: Run) -> tuple[str, ...]:
    if run.absent:
        return (run.client.name, "", "", "", "", "", "skipped")
    good = sum(not step.problem for step in run.steps)
    return (
        run.client.name,
        run.version,
        f"{good}/{len(run.steps)}",
        str(run.charges.requests),
        f"{run.charges.charged:,}",
        f"{run.seconds:.1f}",
        "ok" if run.is_right else "FAIL",
    )
