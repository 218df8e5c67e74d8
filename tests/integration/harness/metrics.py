"""The text format of Prometheus (0.0.4), read more strictly than Prometheus does."""
import re

PREFIX = "guesslyfe_gateway_"
HELP = re.compile(r"# HELP ([a-z_:][a-z0-9_:]*) (\S.*\S)")
TYPE = re.compile(r"# TYPE ([a-z_:][a-z0-9_:]*) (gauge|counter)")
SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{([a-z_]+)="([a-z ]+)"\})? (\d+(?:\.\d+)?)')


class Metrics:
    """
    metrics["clients"], metrics["sessions", "polling"]: the numbers by name (without the prefix) and label's value.
    Fails where a line is none of the format, a family has no HELP and TYPE before its numbers or is there twice, or
    a number is there twice.
    """

    def __init__(self, text: str):
        self.types: dict[str, str] = {}
        self.numbers: dict[str | tuple[str, str], float] = {}
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
        name, label, value, number = match.groups()
        assert name == self.family, f"{line} stands below {self.family}"
        assert self.label in (None, label), f"{line} has another label than those before it"
        key = (name.removeprefix(PREFIX), value) if label else name.removeprefix(PREFIX)
        assert key not in self.numbers, f"{line} is there twice"
        self.label, self.numbers[key] = label, float(number)

    def __getitem__(self, key: str | tuple[str, str]) -> float:
        return self.numbers[key]

    def sum(self, name: str) -> float:
        """Of all numbers of a family with a label."""
        return sum(number for key, number in self.numbers.items() if isinstance(key, tuple) and key[0] == name)
