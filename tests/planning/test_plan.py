"""From what is asked for to trainings and cells."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench import registry as plugins
from bench.api import Learner, TaskSpec
from bench.api.dataset import ImageClasses, Split
from bench.episodes.banks import Bank
from bench.episodes.words import Purpose
from bench.errors import BenchError
from bench.planning.data import load_suite_data
from bench.planning.plan import Plan, choose_suites, make_plan, read_budget, training_task
from bench.protocols.images import check_split
from bench.protocols.kshot import EpisodePool
from bench.protocols.sequence import SequenceSetting
from bench.registry.contestants import Contestant, contestants
from bench.suites.schema import Budget


@pytest.fixture
def plan_of(tiny_plugins):
    """Plans learners on suite files; keyword arguments are those of `make_plan`."""

    def plan(suites, *specs, seeds=(0,), device="cpu", budget="standard", precision="fp32") -> Plan:
        chosen = suites if isinstance(suites, list) else choose_suites([str(suites)])
        who = contestants(specs, plugins.learners())
        return make_plan(chosen, who, seeds, device, budget, precision, tiny_plugins, print)

    return plan


def test_thousands_of_seeds_are_planned_in_seconds(plan_of, tiny_suite):
    started = time.process_time()
    plan = plan_of(tiny_suite, "nearest-code", seeds=range(4000))
    assert len(plan.trainings) == 8000  # two settings
    assert time.process_time() - started < 20  # about 2; 30 where an id costs 4 ms


# -- suites ---------------------------------------------------------------------------------------


def test_suites_by_name_glob_and_path_each_once(tiny_suite):
    chosen = choose_suites(["omniglot-*way", "omniglot-5way", str(tiny_suite)])
    assert [suite.name for suite in chosen] == ["omniglot-20way", "omniglot-5way", "tiny"]


def test_an_unknown_suite_is_told():
    with pytest.raises(BenchError, match="no suite is called 'omniglot-5wya'; did you mean 'omni"):
        choose_suites(["omniglot-5wya"])
    with pytest.raises(BenchError, match="no suite is called 'maxi-\\*'"):
        choose_suites(["maxi-*"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dataset": "codez"}, "no dataset is called 'codez'; did you mean 'codes'"),
        ({"split": "halfs"}, "no split of codes is called 'halfs'; did you mean 'halves'"),
        ({"split": "overlapping"}, "1 classes in both train and val .class 30 is one"),
    ],
)
def test_a_suite_that_does_not_fit_its_data_is_told(tiny_suite, tiny_plugins, change, said):
    [suite] = choose_suites([str(tiny_suite)])
    with pytest.raises(BenchError, match=said):
        load_suite_data(suite.model_copy(update=change), tiny_plugins, print)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            {"ways": 16},
            "settings.5way5shot: in test, an episode needs 16 classes, and only 15 are",
        ),
        (
            {"shots": 18},
            "settings.5way5shot: in test, an episode needs 21 images of each class",
        ),
    ],
)
def test_too_few_classes_or_images_are_told_with_the_setting(
    tiny_suite, tiny_plugins, setting, said
):
    [suite] = choose_suites([str(tiny_suite)])
    settings = dict(suite.settings)
    settings["5way5shot"] = settings["5way5shot"].model_copy(update=setting)
    with pytest.raises(BenchError, match=said):
        load_suite_data(suite.model_copy(update={"settings": settings}), tiny_plugins, print)


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (([0, 1], [2], [1, 3]), "1 classes in both train and test .class 1 is one"),
        (([0, 1], [2, 4, 5], [3, 5, 4]), "2 classes in both val and test .class 4 is one"),
        (([0, 1], [], [2]), "has no classes for val"),
    ],
)
def test_a_split_that_is_not_sound_is_told(split, said):
    with pytest.raises(BenchError, match=said):
        check_split(Split(*(np.array(part, dtype=np.int64) for part in split)), "planted")
    check_split(Split(np.array([0]), np.array([1]), np.array([2])), "sound")


# -- the training task ----------------------------------------------------------------------------


class Asking(Learner):
    """Asks for what `ASKED` says."""

    family, contract = "test", 1
    asked: TaskSpec

    @classmethod
    def training_task(cls, config, task):
        return cls.asked


def asked(task: TaskSpec, classes: int, images: int) -> TaskSpec:
    learner = type("AskingThis", (Asking,), {"asked": task})
    pool = EpisodePool(
        torch.zeros(1), np.arange(classes) * images, np.array([images] * (classes - 1) + [99])
    )
    return training_task(Contestant("a", "a", learner, None, {}), task, pool, pool)


def test_ways_and_queries_are_cut_down_to_what_there_is():
    task = asked(TaskSpec((1,), ways=60, shots=(1, 5), queries=15), classes=40, images=12)
    assert (task.ways, task.shots, task.queries, task.classes) == (40, (1, 5), 7, 40)
    task = asked(TaskSpec((1,), ways=20, shots=1, queries=5), classes=40, images=12)
    assert (task.ways, task.shots, task.queries, task.classes) == (20, 1, 5, 40)
    online = asked(TaskSpec((1,), ways=15, protocol="online", length=45), classes=10, images=12)
    assert (online.ways, online.length, online.presentations) == (10, 30, 3)


# -- budgets --------------------------------------------------------------------------------------


class Scheduled(Learner):
    family, contract = "test", 1

    @classmethod
    def published_updates(cls, config, task):
        return 60_000


def budget_of(text: str, suite, learner: type[Learner] = Scheduled) -> Budget | None:
    return read_budget(text, suite, Contestant("a", "a", learner, None, {}), TaskSpec((1,), 5))


def test_budgets_by_hand(tiny_suite):
    [suite] = choose_suites([str(tiny_suite)])
    assert budget_of("smoke", suite) == suite.budgets.smoke
    assert budget_of("standard", suite) == suite.budgets.standard
    assert budget_of("2000000examples", suite) == Budget(examples=2_000_000)
    assert budget_of("2_000_000 examples", suite) == Budget(examples=2_000_000)
    assert budget_of("10min", suite) == Budget(minutes=10)
    assert budget_of("0.5 min", suite) == Budget(minutes=0.5)
    assert budget_of("paper", suite).updates == 60_000
    assert budget_of("paper", suite, Asking) is None


@pytest.mark.parametrize(
    "text",
    ["", "smok", "10", "10minutes", "0min", "0.0min", "-1min", "0examples", "0.5examples",
     "_examples", "1e6examples", "min", "nanmin", "standard "],
)  # fmt: skip
def test_budgets_that_mean_nothing_are_told(tiny_suite, text):
    [suite] = choose_suites([str(tiny_suite)])
    with pytest.raises(BenchError, match=r"no budget is called .*; use smoke, standard, paper"):
        budget_of(text, suite)


# -- plans ----------------------------------------------------------------------------------------


def test_a_plan_has_every_setting_by_learner_by_seed(plan_of, tiny_suite):
    plan = plan_of(tiny_suite, "nearest-code", "raises", seeds=(0, 1, 2))
    assert len(plan.cells) == 2 * 2 * 3
    assert len({cell.id for cell in plan.cells}) == len(plan.cells)
    assert len(plan.trainings) == 2 * 2 * 3  # it trains as it is tested, so once per setting
    assert {cell.episodes for cell in plan.cells} == {60}


def test_the_same_request_has_the_same_identities(plan_of, tiny_suite):
    first, second = (plan_of(tiny_suite, "nearest-code") for _ in range(2))
    assert [cell.id for cell in first.cells] == [cell.id for cell in second.cells]


def test_trainings_do_not_know_the_suite(plan_of, tiny_suite):
    [suite] = choose_suites([str(tiny_suite)])
    other = suite.model_copy(update={"name": "other", "title": "Another", "version": 9})
    plan = plan_of([suite, other], "nearest-code")
    assert len(plan.cells) == 4
    assert len(plan.trainings) == 2


@pytest.mark.parametrize(
    "changes",
    [{"device": "cuda"}, {"precision": "bf16"}, {"seeds": (1,)}, {"budget": "smoke"},
     {"budget": "8000examples"}],
    ids=str,
)  # fmt: skip
def test_what_is_asked_for_differently_is_another_training(plan_of, tiny_suite, changes):
    plain, changed = plan_of(tiny_suite, "nearest-code"), plan_of(
        tiny_suite, "nearest-code", **changes
    )  # fmt: skip
    ids = [{training.id for training in plan.trainings} for plan in (plain, changed)]
    assert ids[0].isdisjoint(ids[1])
    wider = plan_of(tiny_suite, "nearest-code[width=17]")
    assert ids[0].isdisjoint(training.id for training in wider.trainings)


def test_other_pixels_make_another_training(plan_of, tiny_suite, monkeypatch):
    before = plan_of(tiny_suite, "nearest-code")
    source = plugins.datasets("codes").things["codes"]
    load = source.load

    def altered(*arguments) -> ImageClasses:
        return replace(load(*arguments), content="altered")

    monkeypatch.setattr(source, "load", altered)
    after = plan_of(tiny_suite, "nearest-code")
    assert {cell.id for cell in before.cells}.isdisjoint(cell.id for cell in after.cells)


def test_a_learner_with_nothing_to_train_has_one_training_per_setting(plan_of, tiny_suite):
    plans = [
        plan_of(tiny_suite, "untrained", seeds=seeds, budget=budget)
        for seeds in ((0, 1, 2), (5,))
        for budget in ("smoke", "standard", "paper", "3min")
    ]
    assert len({training.id for plan in plans for training in plan.trainings}) == 2
    assert all(len(plan.cells) == 2 for plan in plans)
    assert plans[0].trainings[0].budget is None
    assert plans[0].trainings[0].budget_name == "none"
    assert plans[0].cells[0].episodes == 20  # smoke answers the first part of the bank
    assert plans[1].cells[0].episodes == 60


def test_a_wrong_budget_is_told_even_where_nothing_is_trained(plan_of, tiny_suite):
    with pytest.raises(BenchError, match="no budget is called 'nonsense'"):
        plan_of(tiny_suite, "untrained", budget="nonsense")


def test_learners_without_a_published_schedule_are_left_out_and_told(plan_of, tiny_suite):
    plan = plan_of(tiny_suite, "nearest-code", "untrained", seeds=(0, 1), budget="paper")
    assert {cell.training.learner for cell in plan.cells} == {"untrained"}
    assert len(plan.notes) == 2  # one per setting, not per seed
    assert plan.notes[0].startswith("nearest-code has no published schedule for tiny 5way1shot")


@pytest.mark.parametrize("learners", [["nearest-code"], ["nearest-code", "recurrent"]])
def test_where_nobody_has_a_published_schedule_nothing_is_left_to_run(
    plan_of, tiny_suite, learners
):
    with pytest.raises(BenchError, match="nothing to run: nearest-code has no published schedule"):
        plan_of(tiny_suite, *learners, budget="paper")


@pytest.mark.parametrize(("share", "answered"), [(10, 200), (250, 250), (9999, 300)])
def test_a_dear_learner_answers_the_first_part_of_the_bank(
    plan_of, tiny_suite, tiny_plugins, monkeypatch, share, answered
):
    learner = plugins.learners().things["nearest-code"]
    monkeypatch.setattr(learner, "bank_share", classmethod(lambda *_: share))
    [suite] = choose_suites([str(tiny_suite)])
    longer = suite.model_copy(update={"test": suite.test.model_copy(update={"episodes": 300})})
    for cell in plan_of([longer], "nearest-code").cells:
        assert (cell.episodes, cell.bank_episodes) == (answered, 300)
        pools = load_suite_data(longer, tiny_plugins, print)
        bank = Bank.drawn(pools.test, cell.task, answered, suite.test.seed, Purpose.TEST)
        assert cell.bank == bank.draw.digest()


def test_online_plans(plan_of, tiny_online):
    [cell] = plan_of(tiny_online, "nearest-code").cells
    assert (cell.task.protocol, cell.task.ways, cell.task.length) == ("online", 3, 12)
    assert cell.training.task.classes == 4 * 30  # rotations are classes of meta-training
    assert not cell.test_rotations


def test_rotations_are_those_that_the_suite_asks_for(tiny_online, tiny_plugins):
    [suite] = choose_suites([str(tiny_online)])  # in meta-training alone
    pools = load_suite_data(suite, tiny_plugins, print)
    assert [len(pool) for pool in (pools.train, pools.val, pools.test)] == [4 * 30, 15, 15]


def test_tasks_are_told_all_there_is_to_know(plan_of, tiny_suite):
    task = plan_of(tiny_suite, "nearest-code").cells[1].task
    assert dataclasses.asdict(task) == {
        "input_shape": (1, 16, 16), "ways": 5, "shots": 5, "queries": 3, "protocol": "kshot",
        "length": 0, "episodes_per_update": 4, "classes": 30, "items": 0, "outputs": 0,
        "details": (),
    }  # fmt: skip


# -- memory probes --------------------------------------------------------------------------------


def test_a_probes_settings_share_one_training_over_the_range_of_the_suite(plan_of, tiny_probe):
    plan = plan_of(tiny_probe, "recurrent", budget="smoke")
    assert [(cell.setting, cell.task.items) for cell in plan.cells] == [
        ("length2", 2), ("length4", 4),
    ]  # fmt: skip
    [training] = plan.trainings
    assert (training.task.items, training.task.episodes_per_update) == ((1, 3), 8)
    assert training.content == plugins.datasets().things["copy"].content
    cell = plan.cells[0]
    assert dataclasses.asdict(cell.task) == {
        "input_shape": (10,), "ways": 1, "shots": 1, "queries": 15, "protocol": "sequence",
        "length": 0, "episodes_per_update": 8, "classes": 0, "items": 2, "outputs": 8,
        "details": (),
    }  # fmt: skip
    assert (cell.episodes, cell.bank_episodes) == (20, 60)
    assert plan.notes == []


def test_who_is_not_made_for_a_protocol_takes_no_part_and_is_told(plan_of, tiny_probe, tiny_suite):
    suites = choose_suites([str(tiny_probe), str(tiny_suite)])
    plan = plan_of(suites, "nearest-code", "recurrent", "untrained")
    assert {(cell.suite, cell.training.learner) for cell in plan.cells} == {
        ("tiny-probe", "recurrent"), ("tiny", "recurrent"), ("tiny", "nearest-code"),
        ("tiny", "untrained"),
    }  # fmt: skip
    assert plan.notes == [
        "tiny-probe is without nearest-code, untrained: not made for the sequence protocol"
    ]
    alone = plan_of(suites, "nearest-code")
    assert {cell.suite for cell in alone.cells} == {"tiny"}


def test_a_run_that_nobody_takes_part_in_is_told(plan_of, tiny_probe):
    with pytest.raises(BenchError, match="nothing to run: tiny-probe is without nearest-code"):
        plan_of(tiny_probe, "nearest-code")


@pytest.mark.parametrize(
    ("base", "change", "said"),
    [
        ("tiny_probe", {"dataset": "codes"},
         "tiny_probe.toml: dataset: the sequence protocol is about memory probes, and .codes"),
        ("tiny_suite", {"dataset": "copy"},
         "tiny_suite.toml: dataset: the kshot protocol is about images, and 'copy' has none"),
        ("tiny_probe", {"dataset": "associative-recall"},
         "tiny_probe.toml: training_items: associative-recall needs 2 items or more, got 1"),
        ("tiny_probe",
         {"dataset": "associative-recall", "training_items": (2, 3),
          "settings": {"single": SequenceSetting(items=1)}},
         "tiny_probe.toml: settings.single: associative-recall needs 2 items or more, got 1"),
    ],
)  # fmt: skip
def test_a_suite_and_a_dataset_that_do_not_go_together_are_told(
    request, tiny_plugins, base, change, said
):
    [suite] = choose_suites([str(request.getfixturevalue(base))])
    with pytest.raises(BenchError, match=said):
        load_suite_data(suite.model_copy(update=change), tiny_plugins, print)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda *_: 1 / 0, "training_task failed: ZeroDivisionError: division by zero"),
        (lambda *_: None, "training_task failed: TypeError: it returned None"),
    ],
)
def test_a_learner_that_fails_while_it_is_planned_is_named_and_the_others_are_planned(
    plan_of, tiny_suite, monkeypatch, asked, words
):
    learner = plugins.learners().things["nearest-code"]
    monkeypatch.setattr(learner, "training_task", classmethod(asked))
    plan = plan_of(tiny_suite, "nearest-code[width=3]", "untrained")
    assert {cell.training.learner for cell in plan.cells} == {"untrained"}
    assert list(plan.failed) == ["nearest-code[width=3]"]
    assert plan.failed["nearest-code[width=3]"].startswith(words)


def test_defaults_of_a_protocol_that_no_option_has_are_one_learner_s_failure(
    plan_of, tiny_suite, monkeypatch
):
    learner = plugins.learners().things["nearest-code"]
    monkeypatch.setattr(plugins.learners().things["untrained"], "protocol_defaults", {})
    monkeypatch.setattr(learner, "protocol_defaults", {"kshot": {"widht": 3}})
    plan = plan_of(tiny_suite, "nearest-code", "untrained")
    assert {cell.training.learner for cell in plan.cells} == {"untrained"}
    told = plan.failed["nearest-code"]
    assert told.startswith("its protocol_defaults of kshot: no option of nearest-code is called 'w")
