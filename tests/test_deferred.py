"""A deferred package answers as it would have, only later."""

from __future__ import annotations

import subprocess
import sys

import pytest

from modelchecks.probes.deferred import defer


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that says when it is loaded."""
    (tmp_path / "slow_thing").mkdir()
    (tmp_path / "slow_thing" / "__init__.py").write_text(
        "import builtins\nbuiltins.slow_things = getattr(builtins, 'slow_things', 0) + 1\n"
        "other = 7\ndef twice(x, plus=0):\n    return 2 * x + plus\n"
    )
    (tmp_path / "slow_thing" / "part.py").write_text("name = 'part'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("builtins.slow_things", 0, raising=False)
    yield lambda: __import__("builtins").slow_things
    for name in ("slow_thing", "slow_thing.part"):
        sys.modules.pop(name, None)


def test_it_is_loaded_by_the_first_call_and_once(package):
    defer("slow_thing", "twice")
    from slow_thing import twice

    assert package() == 0
    assert twice(3, plus=1) == 7
    assert twice(4) == 8
    assert package() == 1
    import slow_thing

    assert slow_thing.twice(1) == 2
    assert package() == 1


def test_any_other_name_loads_it(package):
    defer("slow_thing", "twice")
    import slow_thing

    assert package() == 0
    assert slow_thing.other == 7
    assert package() == 1
    with pytest.raises(AttributeError, match="slow_thing"):
        _ = slow_thing.nothing


def test_its_parts_can_be_imported(package):
    defer("slow_thing", "twice")
    from slow_thing import part

    assert part.name == "part"


def test_what_is_loaded_or_not_installed_stays_as_it_is(package):
    import slow_thing

    defer("slow_thing", "twice")
    assert sys.modules["slow_thing"] is slow_thing
    defer("no_such_thing", "any")
    assert "no_such_thing" not in sys.modules


def test_jsonschema_still_tells_an_iri_from_a_text():
    pytest.importorskip("rfc3987_syntax")
    code = (
        "import sys\n"
        "from modelchecks.probes.expectations import _quietly\n"
        "with _quietly():\n    import great_expectations\n"
        "assert not any(name.startswith('lark') for name in sys.modules), 'the grammar is built'\n"
        "import jsonschema\n"
        "check = jsonschema.FormatChecker()\n"
        "assert check.conforms('http://a.example/ä', 'iri')\n"
        "assert not check.conforms('no iri at all', 'iri')\n"
        "assert 'lark' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
