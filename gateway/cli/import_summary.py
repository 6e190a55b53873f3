"""What became of an import: counts, and for each reason the first few of its lines."""

from dataclasses import dataclass, field

from rich.console import Console

from gateway.cli.document_lines import Rejection

_SHOWN = 5


@dataclass(slots=True)
class Tally:
    """Counted while an import runs, and told when it ends, in whatever way."""

    collection: str
    accepted: int = 0
    """Now; not what an earlier run stored."""
    rejected: int = 0
    earlier: int = 0
    """Lines that an earlier run had done."""
    version: int = 0
    stopped_at: str = ""
    """Where to go on, such as `line 300 of corpus.jsonl`. Empty: nowhere."""
    begun: bool = False
    _by_reason: dict[str, int] = field(default_factory=dict)
    _examples: dict[str, list[str]] = field(default_factory=dict)

    def reject(self, file: str, rejection: Rejection) -> None:
        """Count one line that is not stored."""
        reason = rejection.reason
        self.rejected += 1
        self._by_reason[reason] = self._by_reason.get(reason, 0) + 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < _SHOWN:
            examples.append(f"{file}:{rejection.line}: {rejection.words}")

    def show(self, out: Console, *, seconds: float) -> None:
        """Print it, unless nothing had begun."""
        if not self.begun:
            return
        rate = f", {self.accepted / seconds:.0f}/s" if self.accepted else ""
        told = (
            f"{self.collection}: {self.accepted} documents accepted,"
            f" {self.rejected} rejected, in {seconds:.1f} s{rate}"
        )
        lines = [f"{told}; version {self.version}" if self.version else told]
        if self.earlier:
            lines.append(f"{self.earlier} lines were done by an earlier run")
        for reason, count in sorted(self._by_reason.items(), key=lambda by: -by[1]):
            lines.append(f"{reason}: {count}")
            lines += [f"  {example}" for example in self._examples[reason]]
            if count > _SHOWN:
                lines.append(f"  and {count - _SHOWN} more")
        if self.stopped_at:
            lines.append(f"stopped after {self.stopped_at}; --resume goes on there")
        for line in lines:
            out.print(line, soft_wrap=True, markup=False)
