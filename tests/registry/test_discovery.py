"""Discovery: what cannot be used is a problem with package and reason, and disturbs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import registry as plugins
from bench.cli.kinds import of_kind
from bench.errors import BenchError
from bench.registry import discovery
from bench.registry.discovery import Problem
from bench.suites import installed as suites

GOOD = """
    from bench.api import Learner
    class Good(Learner):
        family, contract = "test", 1
        def adapt(self, support_x, support_y, ways): ...
        def predict(self, state, query_x): ...
"""


def problem(found: plugins.Found, name: str) -> Problem:
    [one] = [problem for problem in found.problems if problem.name == name]
    assert name not in found.things
    return one


BROKEN = [
    # source of the class Plugin, why it cannot be used
    ("import absent_module", "importing it failed: ModuleNotFoundError: No module named 'absent_m"),
    ("raise SystemExit(3)", "importing it failed: SystemExit: 3"),
    ("1 / 0", "importing it failed: ZeroDivisionError"),
    ("", "importing it failed: AttributeError: module"),
    ("class Plugin: pass", "is not a subclass of bench.api.Learner"),
    ("Plugin = 3", "3 is not a subclass of bench.api.Learner"),
    (
        "from bench.api import Learner\nclass Plugin(Learner): family = 'x'",
        "does not state its contract; add `contract = 2`",
    ),
    (
        "from bench.api import Learner\nclass Plugin(Learner): family, contract = 'x', 7",
        "was written for version 7 of the contract, and this understands versions 1 and 2",
    ),
    (
        "from bench.api import Learner\nclass Plugin(Learner): contract = 1",
        "does not state its family",
    ),
    (
        "from bench.api import Learner\nclass Plugin(Learner):\n"
        " family, contract = 'x', 1\n class Config: pass",
        "its Config is not a dataclass",
    ),
    (
        "from bench.api import Learner\nclass Plugin(Learner): family, contract = 'x', 1",
        "Plugin does not define adapt, predict",
    ),
    (
        "from bench.api import SequenceLearner\nclass Plugin(SequenceLearner):\n"
        " family, contract = 'x', 1\n def step(self, state, z, label): ...",
        "Plugin does not define initial_state",
    ),
    (
        "from dataclasses import dataclass\nfrom bench.api import Learner\n"
        "class Plugin(Learner):\n family, contract = 'x', 1\n @dataclass\n"
        " class Config: rate: 'Absent' = 1",
        "the types of its Config cannot be resolved: NameError: name 'Absent' is not defined;",
    ),
    (
        "from dataclasses import dataclass\nfrom bench.api import Learner\n"
        "class Plugin(Learner):\n family, contract = 'x', 1\n @dataclass\n"
        " class Config: rate: float",
        "its Config cannot be made: TypeError: ",
    ),
    *(
        (
            "from bench.api import Learner\nclass Plugin(Learner):\n family, contract = 'x', 1\n"
            f" {stated}",
            reason,
        )
        for stated, reason in (
            ("presets = (('small', {'width': 4}),)", "its presets are no mapping of names to opti"),
            (
                "presets = {'small': ['width']}",
                "its presets are no mapping of names to option",
            ),
            ("protocol_defaults = {'kshot': 3}", "its protocol_defaults are no mapping of names"),
            ("protocols = None", "its protocols is None, and not a tuple of texts"),
            ("protocols = 'kshot'", "its protocols is 'kshot', and not a tuple of texts"),
            ("trained = 'no'", "its trained is 'no', and not True or False"),
            ("references = (2018,)", "its references is (2018,), and not a tuple of texts"),
        )
    ),
]


@pytest.mark.parametrize(("source", "reason"), BROKEN, ids=[reason[:40] for _, reason in BROKEN])
def test_a_broken_learner_is_a_problem_and_the_others_work(install, request, source, reason):
    package = f"broken{BROKEN.index((source, reason))}"  # a module is imported once per process
    install(package, source, learners={"broken": f"{package}:Plugin"})
    found = plugins.learners()
    told = problem(found, "broken")
    assert reason in told.reason
    assert told.kind == "learner"
    assert told.package == f"{package} 2.5"
    assert ("importing" in reason) == (told.traceback is not None)
    assert "prototypical" in found.things
    with pytest.raises(BenchError, match=f"the learner 'broken' of {package} 2.5 cannot be used"):
        found.get("broken")


NEEDS_MORE = """
    from bench.api import MissingRequirementError
    raise MissingRequirementError("rare 1.2", "pip install rare==1.2")
"""


def test_a_learner_that_lacks_something_optional_says_what_installs_it(install):
    install("lacking", NEEDS_MORE, learners={"lacking-one": "lacking:A", "lacking-b": "lacking:B"})
    found = plugins.learners()
    told = problem(found, "lacking-one")
    assert told.reason == "rare 1.2 is not installed; install it with\n  pip install rare==1.2"
    assert told.install == "pip install rare==1.2"
    assert told.traceback is None
    assert "prototypical" in found.things
    for name in ("lacking-one", "*king-one"):  # a glob that matches nothing else
        with pytest.raises(BenchError, match=r"'lacking-one' of lacking 2\.5 cannot be") as raised:
            found.get(name)
        assert str(raised.value).endswith("\n  pip install rare==1.2")


@pytest.mark.parametrize("kind", ["suite", "dataset", "protocol", "executor"])
def test_other_plugins_may_lack_something_too(install, kind):
    package = f"lacking_{kind}"
    install(package, NEEDS_MORE, **{f"{kind}s": {"lacking": f"{package}:A"}})
    assert problem(of_kind(f"{kind}s"), "lacking").install == "pip install rare==1.2"


def test_an_import_error_within_the_optional_package_is_a_broken_plugin(install):
    install("half", "import absent_module", learners={"half": "half:A"})
    told = problem(plugins.learners(), "half")
    assert told.install is None
    assert told.traceback


def test_a_name_that_two_packages_claim_is_nobodys(install):
    install("first_claim", GOOD, learners={"twice": "first_claim:Good", "mine": "first_claim:Good"})
    install("second_claim", GOOD, learners={"twice": "second_claim:Good"})
    found = plugins.learners()
    told = problem(found, "twice")
    assert told.package == "first_claim 2.5, second_claim 2.5"
    assert "claimed by 2 entry points; uninstall all but one" in told.reason
    assert found.packages["mine"] == "first_claim 2.5"


def test_a_package_that_claims_a_built_in_name_does_not_replace_it(install):
    install("usurper", GOOD, learners={"prototypical": "usurper:Good"})
    assert "bench-metalearning" in problem(plugins.learners(), "prototypical").package


def test_a_package_that_is_on_the_path_twice_counts_once(install, put_on_path):
    folder = install("doubled", GOOD, learners={"doubled": "doubled:Good"})
    put_on_path(folder)
    assert plugins.learners().things["doubled"].__name__ == "Good"


def test_unknown_names_give_the_nearest(tiny_plugins):
    with pytest.raises(BenchError, match="no learner is called 'nearest-cod'; did you mean 'near"):
        plugins.learners().get("nearest-cod")
    with pytest.raises(BenchError, match=r"no suite is called 'omniglot-6way'; did you mean 'omni"):
        suites.suites().get("omniglot-6way")
    with pytest.raises(BenchError, match="`bench list datasets` shows all"):
        plugins.datasets().get("imagenet")


def test_the_built_in_plugins_are_found():
    assert {"prototypical", "maml", "pixel-nearest-neighbour"} <= set(plugins.learners().things)
    assert {"omniglot", "glyphs"} <= set(plugins.datasets().things)
    assert {"inline", "local"} <= set(plugins.executors().things)
    assert {"omniglot-5way", "glyphs-5way"} <= set(suites.suites().things)


def test_datasets_and_executors_must_be_of_their_kind(install):
    install(
        "wrong_kinds", GOOD + "    thing = 3\n",
        datasets={"wrong-data": "wrong_kinds:Good"}, executors={"wrong-exec": "wrong_kinds:thing"},
    )  # fmt: skip
    told = problem(plugins.datasets(), "wrong-data")
    assert "not a subclass of bench.api.Source" in told.reason
    told = problem(plugins.executors(), "wrong-exec")
    assert "3 is not a subclass of bench.api.Executor" in told.reason


@pytest.mark.parametrize(("kind", "base"), [("dataset", "DatasetSource"), ("executor", "Executor")])
def test_datasets_and_executors_state_a_contract_and_are_complete(install, kind, base):
    source = f"""
    from bench.api.{kind} import {base}
    class Later({base}): contract = 3
    class Partial({base}): contract = 1
    """
    package = f"stated_{kind}"
    install(
        package, source,
        **{f"{kind}s": {"later": f"{package}:Later", "partial": f"{package}:Partial"}},
    )  # fmt: skip
    found = getattr(plugins, f"{kind}s")()
    told = problem(found, "later").reason
    assert (
        "was written for version 3 of the contract, and this understands versions 1 and 2" in told
    )
    assert "Partial does not define " in problem(found, "partial").reason


@pytest.mark.parametrize(
    ("kind", "base", "stated", "reason"),
    [
        ("dataset", "bench.api.dataset.DatasetSource", "name = 3", "its name is 3, and not a text"),
        (
            "dataset", "bench.api.dataset.DatasetSource",
            "name, description, splits = 'a', 'b', 'c'",
            "its splits is 'c', and not a tuple of texts",
        ),
        (
            "executor", "bench.api.executor.Executor", "description, detaches = 'a', 'yes'",
            "its detaches is 'yes', and not True or False",
        ),
        (
            "executor", "bench.api.executor.Executor", "description, options = 'a', 'queue'",
            "its options is 'queue', and not a tuple of texts, or None",
        ),
        (
            "protocol", "bench.protocols.base.Protocol", "name, description, needs = 'a', 'b', 'c'",
            "its needs is 'c', and not a tuple of texts",
        ),
        (
            "protocol", "bench.protocols.base.Protocol",
            "name, description, inputs_per_image = 'a', 'b', True",
            "its inputs_per_image is True, and not a whole number",
        ),
        ("protocol", "bench.protocols.base.Protocol", "name = 'a'", "does not state its descript"),
    ],
)  # fmt: skip
def test_what_other_plugins_state_is_looked_at(install, kind, base, stated, reason):
    module, _, name = base.rpartition(".")
    package = f"states_{kind}_{abs(hash(stated))}"  # a module is imported once per process
    install(
        package,
        f"from {module} import {name}\nclass Base({name}): {stated}\n"
        "class Plugin(Base): ...\nPlugin.__abstractmethods__ = frozenset()\n"
        f"for name in [name for name in dir(Base) if getattr("
        "getattr(Base, name), '__isabstractmethod__', 0)]:\n    setattr(Plugin, name, print)",
        **{f"{kind}s": {"states": f"{package}:Plugin"}},
    )
    found = of_kind(f"{kind}s")
    assert reason in problem(found, "states").reason
    assert len(found.things) > 1


# -- suites of packages ---------------------------------------------------------------------------

TINY = (Path(__file__).parents[1] / "fixtures" / "tiny_suite.toml").read_text()


def test_suites_of_a_package_a_folder_or_one_file(install):
    folder = install(
        "suite_package", "FOLDER = __file__.rpartition('/')[0]\nFILE = FOLDER + '/one/a.toml'",
        suites={"all": "suite_package:FOLDER", "one": "suite_package:FILE"},
    )  # fmt: skip
    (folder / "one").mkdir()
    (folder / "one" / "a.toml").write_text(TINY.replace('"tiny"', '"tiny-a"'))
    (folder / "b.toml").write_text(TINY.replace('"tiny"', '"tiny-b"'))
    found = suites.suites()
    assert {"tiny-a", "tiny-b"} <= set(found.things)
    assert found.packages["tiny-b"] == "suite_package 2.5"


def test_broken_suites_are_problems(install):
    folder = install(
        "broken_suites", "FOLDER = __file__.rpartition('/')[0]\nGONE = FOLDER + '/gone'",
        suites={"these": "broken_suites:FOLDER", "gone": "broken_suites:GONE"},
    )  # fmt: skip
    (folder / "again.toml").write_text(TINY.replace('"tiny"', '"omniglot-5way"'))
    (folder / "bad.toml").write_text("name = ")
    (folder / "good.toml").write_text(TINY)
    found = suites.suites()
    assert "tiny" in found.things
    assert "not valid TOML" in problem(found, "bad").reason
    assert "neither a suite file nor a folder" in problem(found, "gone").reason
    again = problem(found, "omniglot-5way")
    assert again.package == "bench-metalearning 0.1.0, broken_suites 2.5"
    assert str(folder / "again.toml") in again.reason
    assert "omniglot-20way" in found.things


def test_packages_may_give_their_folders_of_suites_the_same_name(install):
    for number in (1, 2):
        folder = install(
            f"folder{number}", "FOLDER = __file__.rpartition('/')[0]",
            suites={"builtin": f"folder{number}:FOLDER"},
        )  # fmt: skip
        (folder / "a.toml").write_text(TINY.replace('"tiny"', f'"tiny-{number}"'))
    found = suites.suites()
    assert {"tiny-1", "tiny-2", "omniglot-5way"} <= set(found.things)
    assert (found.packages["tiny-1"], found.packages["tiny-2"]) == ("folder1 2.5", "folder2 2.5")
    assert not found.problems


def test_a_file_that_is_registered_twice_is_one_suite(install):
    folder = install(
        "both_ways", "FOLDER = __file__.rpartition('/')[0]\nFILE = FOLDER + '/a.toml'",
        suites={"folder": "both_ways:FOLDER", "file": "both_ways:FILE"},
    )  # fmt: skip
    (folder / "a.toml").write_text(TINY)
    assert "tiny" in suites.suites().things
    assert not suites.suites().problems


def test_suites_that_fit_a_pattern_and_no_others(install):
    folder = install(
        "some_suites", "FOLDER = __file__.rpartition('/')[0]",
        suites={"these": "some_suites:FOLDER"},
    )  # fmt: skip
    (folder / "bad.toml").write_text("name = ")
    (folder / "good.toml").write_text(TINY)
    (folder / "wrong.toml").write_text('name = "tiny-wrong"')
    assert list(suites.suites("tiny").things) == ["tiny"]
    assert sorted(suites.suites("omniglot-?way").things) == ["omniglot-5way"]
    found = suites.suites("tiny*")
    assert list(found.things) == ["tiny"]
    assert [told.name for told in found.problems] == ["wrong"]
    assert suites.suites("bad").things == {}


def test_the_files_that_say_a_name(install):
    folder = install(
        "named_suites", "FOLDER = __file__.rpartition('/')[0]",
        suites={"these": "named_suites:FOLDER"},
    )  # fmt: skip
    (folder / "a.toml").write_text(TINY)
    (folder / "b.toml").write_text("name = 'tiny'")
    (folder / "c.toml").write_text("name = ['tiny']")
    expected = [(folder / name).resolve() for name in ("a.toml", "b.toml")]
    assert suites.files_called("tiny") == expected
    assert suites.files_called("no-such-suite") == []


def test_what_is_put_on_the_path_later_is_found(tmp_path, monkeypatch):
    """What is installed is looked up once for each path."""
    before = discovery.names_of("suite")
    info = tmp_path / "later-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: later\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bench.suites]\nlater = later:FOLDER\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert discovery.names_of("suite") == before | {"later"}
