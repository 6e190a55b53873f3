"""Build the image without an engine, run it as it is deployed, and look what is in it.

`python -m deploy.container.verify`, as root on Linux with bubblewrap and debootstrap. What it
makes stays in build/image. The base image is played by Debian of the same release, and what
that image itself has is not tried.
"""

import os
import re
import shutil
import stat
import sys
from pathlib import Path

from deploy.container.bare import Build, as_deployed, debian
from deploy.container.containerfile import Stage, stages, words

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
MADE = ROOT / "build" / "image"

# Compilers, and what installs: whoever breaks in finds nothing to go on with.
_TOOLS = ("cc", "gcc", "g++", "ld", "make", "git", "pip", "pip3", "uv", "cargo", "curl")
_PACKAGES = ("pip", "hatchling", "setuptools", "wheel", "pytest", "mypy", "ruff")


def main() -> None:
    """Do all of it, or end with what is wrong."""
    if os.geteuid() or not (shutil.which("bwrap") and shutil.which("debootstrap")):
        sys.exit("as root on Linux: apt-get install bubblewrap debootstrap")
    found = stages((HERE / "Containerfile").read_text("utf-8"))
    final = found[-1]
    base = MADE / f"debian-{release(final.base)}"
    MADE.mkdir(parents=True, exist_ok=True)
    debian(release(final.base), base)
    ignore = (HERE / "Containerfile.dockerignore").read_text("utf-8")
    build = Build(base, ROOT, ignore, MADE)
    for stage in found:
        print(f"FROM {stage.base} AS {stage.name}, played by Debian", flush=True)
        build.make(stage)
    root = build.root(final.name)
    problems = [*superfluous(root), *loose(root)]
    if problems:
        sys.exit("\n".join(problems))
    try_it(final, root, build.environment)
    print(f"the image adds {megabytes(root) - megabytes(base)} MB to its base")


def release(base: str) -> str:
    """Tell which Debian an image of Python's is made of: `python:3.13-slim-trixie`."""
    return re.sub(r".*-slim-", "", base)


def try_it(final: Stage, root: Path, environment: dict[str, str]) -> None:
    """Run it with nothing but what its deployment gives it."""
    place = final.last("VOLUME")
    data = MADE / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    # An engine gives a fresh volume the owner that the folder has in the image.
    owner = (root / place.lstrip("/")).stat()
    os.chown(data, owner.st_uid, owner.st_gid)
    serve = words(final.last("ENTRYPOINT")) + words(final.last("CMD"))
    health = words(final.last("HEALTHCHECK").partition(" CMD ")[2])
    as_deployed(
        root,
        ["/bin/sh", "-c", (HERE / "trial.sh").read_text("utf-8")],
        environment | {"SERVE": " ".join(serve), "HEALTH": " ".join(health)},
        user=final.last("USER"),
        data=data,
        place=place,
    )


def superfluous(root: Path) -> list[str]:
    """Find what builds, installs or tests."""
    folders = [root / each for each in ("usr/local/bin", "opt/rerank-gateway/bin")]
    tools = [
        path
        for folder in [*folders, root / "usr/bin"]
        for path in folder.iterdir()
        if path.name in _TOOLS
    ]
    packages = [
        path
        for name in _PACKAGES
        for place in ("opt", "usr/local")
        for path in (root / place).rglob(f"{name}-*.dist-info")
    ]
    return [f"/{path.relative_to(root)} is there" for path in tools + packages]


def loose(root: Path) -> list[str]:
    """Find what others than root may change, or may run as root, of what we put there."""
    problems = []
    for path in (root / "opt").rglob("*"):
        state = path.lstat()
        if stat.S_ISLNK(state.st_mode):
            continue
        if state.st_uid or state.st_mode & (stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID):
            problems.append(
                f"/{path.relative_to(root)}: {stat.filemode(state.st_mode)}"
            )
    return problems


def megabytes(root: Path) -> int:
    """Add up the files of a root."""
    sizes = (path.lstat().st_size for path in root.rglob("*") if not path.is_symlink())
    return sum(sizes) // 1_000_000


if __name__ == "__main__":
    main()
