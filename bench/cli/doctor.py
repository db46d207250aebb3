"""`bench doctor`: environment, devices, and what does not work."""

from __future__ import annotations

import click


@click.command()
def doctor() -> None:
    """Shows the environment, the devices, and the plugins that fail to load and why.

    Exits with 1 where something installed cannot be used. What only lacks an optional requirement
    is told with the command that installs it.
    """
    import torch

    from bench.apart.call import apart
    from bench.cli.listed import everything, unavailable
    from bench.data.folders import data_folders
    from bench.worker.devices import Device, cores
    from bench.worker.environment import environment

    here = environment(Device.parse("cpu"))
    commit = f", commit {here.commit}{' (changed)' if here.dirty else ''}" if here.commit else ""
    click.echo(f"bench     {here.bench}{commit}")
    click.echo(f"python    {here.python} on {here.platform}")
    click.echo(f"torch     {here.torch}, numpy {here.numpy}")
    click.echo(f"cpu       {here.device_name}, {cores()} cores")
    for index in range(torch.cuda.device_count()):
        click.echo(f"cuda:{index}    {torch.cuda.get_device_name(index)}")
    if torch.backends.mps.is_available():
        click.echo("mps       Apple GPU")
    folders = data_folders(None)
    click.echo(f"data      {folders.data or 'no folder named ($BENCH_DATA_DIR)'}")
    click.echo(f"cache     {folders.cache}")
    names, problems = apart(everything)()
    for kind, usable in names.items():
        click.echo(f"{kind:<10}{', '.join(usable) or 'none'}")
    for line in unavailable(problems):
        click.echo(f"\n{line}")
    broken = [problem for problem in problems if not problem.install]
    for problem in broken:
        click.echo(f"\nPROBLEM: {problem.kind} {problem.name} of {problem.package}")
        click.echo(f"  {problem.reason}")
        if problem.traceback:
            click.echo("  " + problem.traceback.strip().replace("\n", "\n  "))
    if broken:
        raise click.exceptions.Exit(1)
    click.echo(f"\nEverything {'else ' if problems else ''}that is installed can be used.")
