"""The command line: thin.  Every command reads a design, calls the function of its name, and prints what came out.

How a command ends when something is wrong: :mod:`fregen.commands.command`.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..design.document import FAMILIES, Design
from ..errors import ToolError
from ..files import make_folder
from .command import DESIGN, MISMATCH, SEED, TOLERANCE, CommandGroup, json_option, percent, precision_option, print_json
from .console import Bars, table
from .study import study

__all__ = ["cli"]


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fregen")
def cli() -> None:
    """Generate FPGA accelerators that learn on chip, verified word for word against a golden model."""


cli.add_command(study)


@cli.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("build/demo"),
    show_default=True,
    help="Folder to write.",
)
@click.option("--quick", is_flag=True, help="One epoch of 200 samples only.")
@json_option
def demo(out: Path, quick: bool, as_json: bool) -> int:
    """Train, generate, let the chip itself learn in simulation, compare every word, and report."""
    from .demo import demo as run
    from .demo_report import headline

    with Bars() as bars:
        result = run(out, quick, bars.step)
    if as_json:
        print_json(result.summary)
    else:
        table(headline(result.summary), title=f"fregen demo: {result.summary['design']['name']}")
        click.echo(f"report: {result.folder / 'report.html'}   summary: {result.folder / 'summary.json'}")
    if result.passed:
        return 0
    _print_mismatches(result.first, result.wave)
    click.echo("error: the chip does not do what the golden model does", err=True)
    return MISMATCH


@cli.command()
@DESIGN
@click.option(
    "--model",
    type=click.Choice(["fixed", "float", "backprop", "fa", "lra", "pep"]),
    default="fixed",
    show_default=True,
    help="Integers, the paper in real numbers, or a baseline in real numbers.",
)
@click.option("--epochs", type=click.IntRange(1), help="Instead of the design's.")
@click.option("--seed", type=SEED, help="Instead of the design's.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="File to renew after every epoch.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@precision_option("double")
@TOLERANCE
@json_option
def train(
    design: Path,
    model: Any,
    epochs: int | None,
    seed: int | None,
    checkpoint: Path | None,
    resume: bool,
    precision: Any,
    tolerance: float | None,
    as_json: bool,
) -> int:
    """Train DESIGN in software: the golden model (fixed point), the float model or a baseline."""
    from ..data.datasets import load
    from ..training.loop import train as run

    if resume and checkpoint is None:
        raise click.UsageError("--resume needs --checkpoint FILE")
    chip = Design.load(design)
    if seed is not None:
        chip = chip.replace(seed=seed)
    dataset = load(chip)
    with Bars() as bars:
        result = run(
            chip,
            dataset,
            model,
            epochs,
            bars.only(model),
            checkpoint,
            checkpoint if resume else None,
            precision=precision,
            tolerance=tolerance,
        )
    if as_json:
        print_json(
            {
                "name": chip.name,
                "model": model,
                "seed": chip.seed,
                "precision": precision,
                "tolerance": tolerance,
                "accuracy": result.last,
                "best_accuracy": result.best,
                "epochs": len(result.history),
                "samples_per_s": result.samples_per_second,
                "seconds": result.seconds,
                "checkpoint": checkpoint,
                "history": [vars(record) for record in result.history],
            }
        )
        return 0
    rows = [
        (
            str(r.epoch + 1),
            f"{r.rate:g}",
            percent(r.train_accuracy),
            percent(r.test_accuracy),
            f"{r.free_steps:.2f}",
            f"{r.nudged_steps:.2f}",
        )
        for r in result.history
    ]
    table(
        rows,
        ("epoch", "rate", "training", "test", "free steps", "nudged steps"),
        f"{chip.name}, {model}, seed {chip.seed}",
    )
    click.echo(f"test accuracy {percent(result.last)}; {result.samples_per_second:,.0f} samples/s")
    return 0


@cli.command()
@DESIGN
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--weights", type=click.Path(path_type=Path), help="Checkpoint: its weights instead of the initial ones.")
@click.option(
    "--memories",
    type=click.Choice(["inline", "readmemh", "case"]),
    default="inline",
    show_default=True,
    help="Contents of tables: in the Verilog, in files beside it, or as logic.",
)
@json_option
def generate(design: Path, out: Path, weights: Path | None, memories: str, as_json: bool) -> int:
    """Write the Verilog, memory images, bench and manifest of DESIGN."""
    from .generate import generate as run

    with Bars() as bars:
        summary = run(design, out, progress=bars.only("generate"), weights=weights, memories=memories)
    if as_json:
        print_json(summary)
    else:
        table(
            [(name, digest[:16]) for name, digest in summary["files"].items()],
            ("file", "sha256"),
            str(summary["folder"]),
        )
    return 0


@cli.command()
@DESIGN
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder to write.  [default: build/fpga/NAME]")
@click.option("--device", metavar="PART", default="lfe5u-85f", show_default=True, help="lfe5u-25f, -45f or -85f.")
@click.option("--grade", type=click.IntRange(6, 8), default=6, show_default=True, help="Speed grade of the part.")
@click.option("--family", type=click.Choice(FAMILIES), help="Instead of the design's.")
@click.option("--seed", type=SEED, default=1, show_default=True, help="Of the first placement.")
@click.option("--placements", type=click.IntRange(1, 100), default=1, show_default=True, help="The best one counts.")
@click.option("--processes", type=click.IntRange(1, 256), default=os.cpu_count() or 1, help="Placements at once.")
@click.option("--mhz", type=click.FloatRange(1, 1000), default=200, show_default=True, help="Clock to aim at.")
@json_option
def build(
    design: Path,
    out: Path | None,
    device: str,
    grade: int,
    family: str | None,
    seed: int,
    placements: int,
    processes: int,
    mhz: float,
    as_json: bool,
) -> int:
    """Synthesize the core of DESIGN, place and route it: its clock, its cells, its worst path by unit.

    Needs pip install 'fregen[fpga]'.  Minutes; a stage that has been done is not done again.
    """
    from .build import build as run

    chip = Design.load(design)
    if family is not None:
        chip = chip.replace(hardware={"family": family})
    folder, seeds = out or Path("build") / "fpga" / chip.name, range(seed, seed + placements)
    with Bars() as bars:
        found = run(chip, folder, device, seeds, mhz, grade, processes, bars.only("build"))
    if as_json:
        print_json(found)
        return 0
    best, available = found["placements"][0], found["available"]
    table(
        [
            ("part", f"{found['device']}, speed grade {found['grade']}"),
            ("family of the core", found["family"]),
            ("clock", f"{found['mhz']:.1f} MHz (seed {best['seed']})"),
            *((f"seed {one['seed']}", f"{one['mhz']:.1f} MHz") for one in found["placements"][1:]),
            *((kind, f"{used:,} of {available[kind]:,}") for kind, used in best["used"].items()),
            ("worst path", " → ".join(dict.fromkeys(step["unit"] for step in best["path"]))),
        ],
        title=f"fregen build: {found['design']}",
    )
    click.echo(f"report: {folder / 'report.html'}   summary: {folder / 'summary.json'}")
    return 0


@cli.command()
@DESIGN
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder to write.  [default: build/show/NAME]")
@click.option(
    "--spectrum/--no-spectrum",
    default=None,
    help="Compute the spectral radius.  [default: up to 16.8 million weights]",
)
@json_option
def show(design: Path, out: Path | None, spectrum: bool | None, as_json: bool) -> int:
    """Draw the network of DESIGN (graph.svg, graph.png), and list its connections and what they cost."""
    from .show import show as run

    chip = Design.load(design)
    with Bars() as bars:
        found = run(chip, out or Path("build") / "show" / chip.name, spectrum, bars.only("show"))
    if as_json:
        print_json(found)
        return 0
    connections = [
        (c["source"], c["target"], c["kind"], c["matrix"] + "ᵀ" * c["transposed"], c["size"], f"{c['scale']:g}")
        for c in ({**row, "size": f"{row['rows']} × {row['columns']}"} for row in found["connections"])
    ]
    table(connections, ("from", "to", "kind", "matrix", "product", "scale"), f"fregen show: {found['name']}")
    weights, times = found["weights"], found["multiplications"]
    table(
        [
            ("layer sizes", "-".join(str(size) for size in found["layers"])),
            ("weights in all", f"{weights['all']:,} ({weights['learned']:,} learned, {weights['fixed']:,} fixed)"),
            (
                "multiplications a step",
                f"{times['step']:,} ({times['hidden']:,} hidden to hidden, {times['readout']:,} readout)",
            ),
            ("multiplications once a sample", f"{times['input']:,} (from the input)"),
            (
                "spectral radius, initial weights",
                found["spectral_radius_left_out"] or f"{found['spectral_radius']:.4g}",
            ),
            *_hardware_rows(found["hardware"]),
        ]
    )
    click.echo(f"drawn: {', '.join(str(found['folder'] / name) for name in found['files'])}")
    return 0


def _hardware_rows(needs: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return what `show` says of the core; nothing of a net that only the float model can run."""
    if needs is None:
        return []
    kinds = sorted(needs["memories"].items(), key=lambda kind: -kind[1])
    most = ", ".join(f"{name} {bits:,}" for name, bits in kinds[:3])
    return [("multipliers", f"{needs['multipliers']:,}"), ("memory bits", f"{needs['memory_bits']:,} ({most}, ...)")]


@cli.command()
@click.argument("source", metavar="DESIGN|DIR", type=click.Path(path_type=Path))
@click.option("--simulator", type=click.Choice(["verilator", "icarus"]), default="verilator", show_default=True)
@click.option("--samples", type=click.IntRange(1), default=64, show_default=True, help="Samples to learn.")
@click.option("--random", is_flag=True, help="Random samples with corner cases instead of the data set.")
@click.option(
    "--inject", type=click.IntRange(1), metavar="N", help="Plant N single faults; report how many are caught."
)
@click.option("--seed", type=SEED, help="Of weights, dither and faults, instead of the design's.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: build/verify/NAME]")
@json_option
def verify(
    source: Path,
    simulator: Any,
    samples: int,
    random: bool,
    inject: int | None,
    seed: int | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Simulate a design file, or a folder that `generate` wrote, and compare every word with the golden model."""
    is_folder = source.is_dir()
    if is_folder and (seed is not None or inject is not None):
        raise click.UsageError("a generated folder has its seed and its Verilog built in: give the design file instead")
    chip = None if is_folder else Design.load(source)
    if chip is not None and seed is not None:
        chip = chip.replace(seed=seed)
    where = (out or Path("build") / "verify" / (chip.name if chip else source.resolve().name)).resolve()
    if inject is not None:
        if simulator != "verilator":
            raise click.UsageError("--inject works with --simulator verilator only")
        assert chip is not None
        return _inject(chip, where, inject, seed if seed is not None else chip.seed, as_json)
    from ..verification.verify import verify as run

    make_folder(where)
    with Bars() as bars:
        verdict = run(chip or source, where, simulator, samples, bars.by_text, random)
    result = verdict.result
    if as_json:
        print_json(verdict.table())
    else:
        table(
            [
                ("simulator", simulator),
                ("samples learnt and inferred", f"{verdict.samples:,}"),
                ("words compared", f"{result.compared:,}"),
                ("that differ; missing; too many", f"{result.different:,}; {result.missing:,}; {result.extra:,}"),
                ("busy cycles", f"{result.cycles:,}"),
                ("seconds", f"{result.seconds:.1f}"),
            ],
            title=f"fregen verify: {verdict.name}",
        )
    for name in verdict.changed:
        click.echo(f"note: {source / name} is not as fregen generate wrote it; verified as it is", err=True)
    if verdict.passed:
        return 0
    _print_mismatches(result.first, verdict.wave)
    click.echo(f"error: {result.findings}; logs: {result.folder}", err=True)
    return MISMATCH


def _inject(chip: Design, where: Path, faults: int, seed: int, as_json: bool) -> int:
    from ..faults.inject import inject as run

    with Bars() as bars:
        result = run(chip, where, faults, seed, progress=bars.by_text)
    if as_json:
        print_json(result.table())
    else:
        kinds = [(kind, f"{count:,}", f"{result.caught.get(kind, 0):,}") for kind, count in result.planted.items()]
        table(kinds, ("fault in", "planted", "caught"), f"planted faults: {chip.name}")
        equivalent = ", ".join(f"{count} by {method}" for method, count in result.equivalent.items()) or "none"
        click.echo(
            f"proven equivalent: {equivalent}; survived: {len(result.survived)}; no verdict: {len(result.broken)}"
        )
    for line in (*result.survived, *result.broken):
        click.echo(line, err=True)
    if result.passed:
        return 0
    click.echo("error: a fault that is not proved equivalent was not caught", err=True)
    return MISMATCH


def _print_mismatches(first: tuple[str, ...], wave: Path | None) -> None:
    for line in first:
        click.echo(line, err=True)
    if wave is not None:
        click.echo(f"waveform: {wave}", err=True)


@cli.command()
@click.argument("target")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder to write; build/reproduce/TARGET by default."
)
@click.option("--scale", type=click.Choice(["quick", "full"]), default="quick", show_default=True, help="How much.")
@click.option("--processes", type=click.IntRange(1, 256), default=os.cpu_count() or 1, help="Trainings at once.")
@click.option("--only", multiple=True, metavar="NET", help="Train this net of the study alone; may be given again.")
@click.option("--seeds", type=click.IntRange(1), help="Fewer than the scale's.")
@click.option("--epochs", type=click.IntRange(1), help="Instead of the scale's.")
@precision_option("single")
@TOLERANCE
@json_option
def reproduce(
    target: str,
    out: Path | None,
    scale: Any,
    processes: int,
    only: tuple[str, ...],
    seeds: int | None,
    epochs: int | None,
    precision: Any,
    tolerance: float | None,
    as_json: bool,
) -> int:
    """Train a study's networks, in any number of sittings, and hold them against published numbers.

    TARGET: table1, table2, cifar, depth, gradients, fig2, fig4, fig5, fig6, freeze or noise; docs/reproduce.md
    describes each.
    MNIST (for cifar the published archive of CIFAR-10) is sought in the folder that FREGEN_DATA names.
    """
    from .. import reproduce as study

    chosen = study.target(target)
    choice = study.Choice(only, seeds, epochs, precision, tolerance)
    folder = out or Path("build/reproduce") / chosen.name
    with Bars() as bars:
        found = study.reproduce(chosen, scale, folder, processes, bars.only(chosen.name), choice)
    written = sorted(str(folder / name) for name in study.files(chosen, scale))
    if as_json:
        rows = [{**vars(row), "difference": row.difference} for row in found.rows]
        print_json({"target": chosen.name, "scale": scale, "rows": rows, "files": written})
        return 0
    if found.rows:
        table([row.cells() for row in found.rows], study.COLUMNS, title=found.title)
    if found.sheet is not None and len(found.sheet.rows) <= 60:
        table(found.sheet.cells(), found.sheet.columns)
    if chosen.left_out:
        click.echo(f"left out: {chosen.left_out}")
    click.echo(f"written: {', '.join(written)}")
    return 0


@cli.command()
@json_option
def doctor(as_json: bool) -> int:
    """Say which tools are there, in which version, and what to install."""
    from ..cache import Limits, Models
    from ..tools import survey

    tools = survey()
    models, limits = Models(), Limits.asked()
    count, size = models.usage()
    missing = [tool for tool in tools if not tool.is_found and "optional" not in tool.hint]
    if as_json:
        rows = [
            {
                "name": tool.name,
                "found": tool.is_found,
                "required": "optional" not in tool.hint,
                "version": tool.version or None,
                "path": tool.path,
                "install": tool.hint,
            }
            for tool in tools
        ]
        cache = {"folder": models.folder, "models": count, "bytes": size, **vars(limits)}
        head = {"fregen": __version__, "python": sys.version.split()[0], "ready": not missing}
        print_json({**head, "tools": rows, "cache": cache})
    else:
        lines = [
            (
                tool.name,
                "yes" if tool.is_found else "NO" if tool in missing else "no",
                tool.version,
                str(tool.path or tool.hint),
            )
            for tool in tools
        ]
        table(
            lines,
            ("tool", "there", "version", "where, or what to install"),
            f"fregen {__version__}, Python {sys.version.split()[0]}",
        )
        click.echo(
            f"compiled models: {count}, {size / 1e9:.2f} GB of {limits.gigabytes:g} GB (FREGEN_CACHE_GB), kept for "
            f"{limits.days:g} days after their last use (FREGEN_CACHE_DAYS), in {models.folder}"
        )
    if missing:
        raise ToolError("; ".join(f"{tool.name} is not on this machine: {tool.hint}" for tool in missing))
    return 0


@cli.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("build/benchmark.json"),
    show_default=True,
    help="File to write.",
)
@json_option
def benchmark(out: Path, as_json: bool) -> int:
    """Measure: golden model on MNIST, float model, Verilator on the demonstration, generation.  Takes minutes.

    Of the float model only the ratios within one run can be compared.
    """
    from .benchmark import benchmark as run
    from .benchmark import rows

    with Bars() as bars:
        figures = run(out, bars.step)
    if as_json:
        print_json(figures)
    else:
        table(rows(figures), ("figure", "measured", "wanted"), "fregen benchmark")
        click.echo(f"written to {out}")
    return 0
