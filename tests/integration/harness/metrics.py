"""The text format of Prometheus (0.0.4), read more strictly than Prometheus does."""
import re

PREFIX = "guesslyfe_gateway_"
HELP = re.compile(r"# HELP ([a-z_:][a-z0-9_:]*) (\S.*\S)")
TYPE = re.compile(r"# TYPE ([a-z_:][a-z0-9_:]*) (gauge|counter)")
SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{([^{}]+)\})? (\d+(?:\.\d+)?)')
LABEL = re.compile(r'([a-z_]+)="([a-z0-9 ]+)"')


class Metrics:
    """
    metrics["clients"], metrics["sessions", "polling"]: the numbers by name (without the prefix) and label's value.
    Under a supervisor most of them are told for each worker: metrics.worker[1]["clients"].
    Fails where a line is none of the format, a family has no HELP and TYPE before its numbers or is there twice, or
    a number is there twice.
    """

    def __init__(self, text: str):
        self.types: dict[str, str] = {}
        self.numbers: dict[str | tuple[str, str], float] = {}
        self.worker: dict[int, dict[str | tuple[str, str], float]] = {}
        assert text.endswith("\n")
        lines = iter(text.splitlines())
        for line in lines:
            if line.startswith("#"):
                self._begin(line, next(lines))
            else:
                self._add(line)

    def _begin(self, help_line: str, type_line: str) -> None:
        helped, typed = HELP.fullmatch(help_line), TYPE.fullmatch(type_line)
        assert helped and typed and helped[1] == typed[1], (help_line, type_line)
        self.family, self.label, kind = typed[1], None, typed[2]
        assert self.family.startswith(PREFIX)
        assert self.family not in self.types, f"{self.family} is there twice"
        assert (kind == "counter") == self.family.endswith("_total"), self.family
        self.types[self.family] = kind

    def _add(self, line: str) -> None:
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, number = match.groups()
        assert name == self.family, f"{line} stands below {self.family}"
        worker, label, value = self._labels(labels.split(",") if labels else [])
        assert self.label in (None, (worker is None, label)), f"{line} has other labels than those before it"
        key = (name.removeprefix(PREFIX), value) if label else name.removeprefix(PREFIX)
        numbers = self.numbers if worker is None else self.worker.setdefault(int(worker), {})
        assert key not in numbers, f"{line} is there twice"
        self.label, numbers[key] = (worker is None, label), float(number)

    def _labels(self, texts: list[str]) -> tuple[str | None, str | None, str | None]:
        """The worker, and the one label beside it with its value."""
        labels = [LABEL.fullmatch(text).groups() for text in texts]
        worker = labels.pop(0)[1] if labels and labels[0][0] == "worker" else None
        assert len(labels) <= 1, texts
        return worker, *(labels[0] if labels else (None, None))

    def __getitem__(self, key: str | tuple[str, str]) -> float:
        return self.numbers[key]

    def total(self, name: str) -> float:
        """Of a family without a label of its own, over all workers."""
        return sum(numbers.get(name, 0) for numbers in self.worker.values())

    def sum(self, name: str) -> float:
        """Of all numbers of a family with a label."""
        return sum(number for key, number in self.numbers.items() if isinstance(key, tuple) and key[0] == name)
