"""What a row is: a number of h2spec's list, a sentence, what is sent and how the answer is judged."""

import dataclasses


@dataclasses.dataclass
class Row:
    number: str
    sentence: str
    # Both take the connection; what `send` returns does not matter.
    send: object
    judge: object
    # False where the case is about the beginning of the connection.
    handshake: bool = True
    # h2spec runs these only when asked to be strict: the text of the RFC says SHOULD.
    strict: bool = False

    def __str__(self):
        return f"{self.number} {self.sentence}"


ROWS = []


def row(number, sentence, send, judge, **more) -> None:
    ROWS.append(Row(number, sentence, send, judge, **more))


def check_complete() -> None:
    """As many as the list has, each once, and the numbers of a section without a gap."""
    numbers = [r.number for r in ROWS]
    if len(set(numbers)) != len(numbers):
        raise SystemExit(f"twice: {sorted({n for n in numbers if numbers.count(n) > 1})}")
    last = {}
    for number in numbers:
        section, _, index = number.rpartition("/")
        if int(index) != last.get(section, 0) + 1:
            raise SystemExit(f"{number} follows {section}/{last.get(section, 0)}")
        last[section] = int(index)
    if len([r for r in ROWS if not r.strict]) != 146:
        raise SystemExit(f"{len([r for r in ROWS if not r.strict])} rows, not 146")
