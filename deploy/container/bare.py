"""Follow a Containerfile without an engine: in bare root file systems, with bubblewrap.

The base image is played by Debian of the same release, whose Python is put where that image
has its own. As root, on Linux.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from deploy.container.containerfile import (
    NotUnderstood,
    Stage,
    copied,
    expanded,
    is_ignored,
    pairs,
)

_TOP = PurePosixPath("/")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# How this machine reaches a package index, which is its own business and not the image's.
_PACKAGES = ("PIP_", "SSL_CERT_", "REQUESTS_CA_", "http_proxy", "https_proxy")
_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs")


def debian(release: str, folder: Path) -> None:
    """Make what plays the base image, once: Debian with Python below /usr/local."""
    if folder.exists():
        return
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    _run(
        "debootstrap",
        "--variant=minbase",
        "--include=ca-certificates,python3-venv",
        release,
        str(making),
    )
    # pip and all, as the image has them: below /usr/local, and no part of Debian.
    inside(making, ["python3", "-m", "venv", "/usr/local"], {"PATH": _PATH})
    making.rename(folder)


class Build:
    """A build: a root for each stage.

    Args:
        base: What plays the base image.
        context: The folder that the build is given.
        ignore: Its .dockerignore.
        folder: Where the roots are made.

    """

    def __init__(self, base: Path, context: Path, ignore: str, folder: Path) -> None:
        self._base = base
        self._context = context
        self._ignore = ignore
        self._folder = folder
        self.environment: dict[str, str] = {}
        """Of the last stage."""

    def root(self, stage: str) -> Path:
        """Say where a stage's root is."""
        return self._folder / stage

    def make(self, stage: Stage) -> None:
        """Follow a stage from its beginning to its end.

        Raises:
            NotUnderstood: It begins or goes on with what is not played here.
            subprocess.CalledProcessError: A RUN fails.

        """
        root = self.root(stage.name)
        shutil.rmtree(root, ignore_errors=True)
        _run("cp", "--archive", "--reflink=auto", str(self._base), str(root))
        self.environment = {"PATH": _PATH}
        given: dict[str, str] = {}
        place = _TOP
        for each in stage.instructions:
            known = given | self.environment
            match each.name:
                case "ARG":
                    name, _, value = each.rest.partition("=")
                    given[name] = expanded(value, known)
                case "ENV":
                    self.environment |= pairs(each.rest, known)
                case "WORKDIR":
                    place /= expanded(each.rest, known)
                    _below(root, place).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(each.rest, root, place)
                case "RUN":
                    _say(f"RUN {each.rest}")
                    shell = ["/bin/sh", "-c", each.rest]
                    inside(root, shell, given | self.environment, place=place)
                case "USER" if stage.instructions.index(each) < _last_run(stage):
                    message = "RUN after USER"
                    raise NotUnderstood(message)
                case _:  # about the image, not about what is in it
                    pass

    def _copy(self, rest: str, root: Path, place: PurePosixPath) -> None:
        copy = copied(rest)
        _say(f"COPY {rest}")
        source_root = self.root(copy.stage) if copy.stage else self._context
        target = _below(root, place / copy.target)
        into = copy.target.endswith("/")
        for name in copy.sources:
            source = source_root / name.lstrip("/")
            if not source.exists():
                message = f"COPY {name}: there is no such file"
                raise NotUnderstood(message)
            to = target / source.name if into else target
            to.parent.mkdir(parents=True, exist_ok=True)
            if copy.stage:
                _run("cp", "--archive", str(source), str(to))
            else:
                self._copy_given(source, to)

    def _copy_given(self, source: Path, to: Path) -> None:
        """Copy a file or folder of the context, without what is ignored."""
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        for file in files:
            path = PurePosixPath(file.relative_to(self._context).as_posix())
            if file.is_file() and not is_ignored(path, self._ignore):
                copy = to / file.relative_to(source) if source.is_dir() else to
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, copy)


def inside(
    root: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    place: PurePosixPath = _TOP,
) -> None:
    """Run a command as root in a root that it may change, with the network.

    Raises:
        subprocess.CalledProcessError: It fails.

    """
    packages = {
        name: value for name, value in os.environ.items() if name.startswith(_PACKAGES)
    } | {"PIP_QUIET": "2"}
    shown = [each for each in _NETWORK if Path(each).exists()]
    for each in shown:  # bubblewrap makes none in a file's place
        if Path(each).is_file():
            _below(root, PurePosixPath(each)).touch()
    _run(
        *("bwrap", "--bind", str(root), "/", "--dev", "/dev", "--proc", "/proc"),
        *(part for each in shown for part in ("--ro-bind", each, each)),
        *("--tmpfs", "/run", "--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108
        *("--cap-add", "ALL", "--unshare-pid", "--die-with-parent", "--clearenv"),
        *_set(packages | dict(environment)),
        *("--chdir", str(place), *command),
    )


def as_deployed(
    root: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    user: str,
    data: Path,
    place: str,
) -> None:
    """Run a command as an orchestrator does that trusts nothing.

    Another user without any capability, nothing to write to but `data`, its volume, and
    /tmp, and a network of its own without a way out.

    Raises:
        subprocess.CalledProcessError: It fails.

    """
    uid, _, gid = user.partition(":")
    _run(
        *("bwrap", "--ro-bind", str(root), "/", "--dev", "/dev", "--proc", "/proc"),
        *("--bind", str(data), place, "--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108
        *("--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        *("--die-with-parent", "--clearenv", *_set(environment), "--chdir", place),
        *("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"),
        *("--cap-add", "CAP_SETPCAP"),
        *("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"),
        *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", *command),
    )


def _set(environment: Mapping[str, str]) -> list[str]:
    return [
        part
        for name, value in environment.items()
        for part in ("--setenv", name, value)
    ]


def _below(root: Path, path: PurePosixPath) -> Path:
    return root / str(path).lstrip("/")


def _last_run(stage: Stage) -> int:
    runs = [
        number for number, each in enumerate(stage.instructions) if each.name == "RUN"
    ]
    return max(runs, default=-1)


def _say(line: str) -> None:
    print(line[:100], flush=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - what a Containerfile of ours says
