"""What scripts and dashboards are built on: exit statuses, JSON, and what each command prints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import ExitStack

import pytest
from contracts.loads import recorded_statements
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop, run_restock
from stories.doorway import run_here
from stories.telling import BROKEN, add_transform, everything, export, mend, mend_transform, product, products, sync

from flows.runs.workplace import open_workplace
from flows.terminal.work import create_ledgers, list_runs, report_of
from sinks.flask_sink import open_sink
from sinks.ledger.lease import keeping, take_lease

SUMMARY = ["run_id", "feed", "source", "generation", "status", "read"]
SUMMARY += [
    "inserted",
    "updated",
    "unchanged",
    "superseded",
    "stale",
    "rejected",
    "skipped",
    "abandoned",
    "outstanding",
]
SUMMARY += ["chunks_planned", "chunks_loaded", "chunks_failed", "seconds", "rows_per_second"]
TOTALS = SUMMARY[:-2]  # the time of an execution is told by the execution alone
NO_RUN = "There is no run x in any ledger; `restock runs` lists those there are."
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def home(sqlite_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with the command in its folder."""
    monkeypatch.chdir(sqlite_shop.folder)
    return sqlite_shop


def failed_night(shop: Shop) -> str:
    """A run whose second chunk of two failed, and whose first has a reject."""
    shop.feed(chunk_rows=2, transform=add_transform(shop, "broken", BROKEN))
    shop.write_csv("products.csv", [product(1), product(2, price="cheap"), product(3, name="POISON")])
    return sync(shop).run.run_id


def test_a_sync_ends_with_0_and_its_summary_has_the_promised_keys_in_order(home: Shop, capfd: Capture) -> None:
    home.write_csv("products.csv", products([1, 2, 3]))

    said = run_here(capfd, "sync", "products", "--json")

    assert said.status == 0
    assert list(said.answer) == SUMMARY
    assert said.answer | {"run_id": "", "seconds": 0, "rows_per_second": 0} == dict.fromkeys(SUMMARY, 0) | {
        "run_id": "",
        "feed": "products",
        "source": "products.csv",
        "generation": 1,
        "status": "completed",
        "read": 3,
        "inserted": 3,
        "chunks_planned": 1,
        "chunks_loaded": 1,
    }
    assert said.answer["seconds"] > 0
    assert said.answer["rows_per_second"] > 0


def test_a_sync_tells_of_every_file_of_a_delta_and_then_that_none_is_new(home: Shop, capfd: Capture) -> None:
    home.feed(kind="delta", source="0*.csv")
    home.write_csv("01.csv", [product(1), product(2, price="cheap")])
    home.write_csv("02.csv", products([3]))

    said = run_here(capfd, "sync", "products", "--json")
    home.write_csv("03.csv", products([4]))
    home.write_csv("04.csv", [product(5, price="cheap")])
    shown = run_here(capfd, "sync", "products")
    nothing = run_here(capfd, "sync", "products")

    assert list(said.answer) == ["runs", "outstanding"]
    told = [[run[name] for name in ("source", "inserted", "rejected")] for run in said.answer["runs"]]
    assert told == [["01.csv", 1, 1], ["02.csv", 1, 0]]
    assert shown.out.count("1 of 1 chunk loaded") == 2
    assert "price is not a number" in shown.out
    assert (nothing.status, nothing.out) == (
        0,
        "There is nothing to load: the source of feed products has nothing new.\n",
    )


def test_rejects_do_not_make_a_sync_fail(home: Shop, capfd: Capture) -> None:
    home.write_csv("products.csv", [product(1), product(2, price="cheap")])

    said = run_here(capfd, "sync", "products", "--json")

    assert said.status == 0
    assert said.answer["status"] == "completed with rejects"


def test_an_incomplete_sync_ends_with_1_and_still_gives_its_summary(home: Shop, capfd: Capture) -> None:
    home.feed(transform=add_transform(home, "broken", BROKEN))
    home.write_csv("products.csv", [product(1, name="POISON")])

    said = run_here(capfd, "sync", "products", "--json")

    assert said.status == 1
    assert list(said.answer) == SUMMARY
    assert (said.answer["status"], said.answer["outstanding"], said.answer["chunks_failed"]) == ("incomplete", 1, 1)
    assert f"`restock reprocess --run {said.answer['run_id']}`" in said.sentence


def test_a_held_sync_ends_with_3_and_says_how_to_go_on(home: Shop, capfd: Capture) -> None:
    home.feed(max_rejects=0)
    home.write_csv("products.csv", [product(1), product(2, price="cheap")])

    held = run_here(capfd, "sync", "products", "--json")
    forced = run_here(capfd, "sync", "products", "--json", "--force")

    assert (held.status, held.answer["status"]) == (3, "held")
    assert "go on with `restock sync products --force`" in held.sentence
    assert (forced.status, forced.answer["run_id"]) == (0, held.answer["run_id"])


@pytest.mark.parametrize(
    "args, status, kind, message",
    [
        (["sync", "x"], 2, "ConfigurationError", "There is no feed 'x' in feeds.yaml; it has: products."),
        (["sync", "products"], 1, "SourceError", "There is no file products.csv; put it there, or correct the source."),
        (["show", "x"], 2, "ConfigurationError", NO_RUN),
        (["reprocess", "--run", "x"], 2, "ConfigurationError", NO_RUN),
        (["reprocess", "--rejects", "x"], 1, "SourceError", "x cannot be read: No such file or directory."),
    ],
)
def test_an_error_is_one_object_with_kind_and_message(
    home: Shop, capfd: Capture, args: list[str], status: int, kind: str, message: str
) -> None:
    said = run_here(capfd, *args, "--json")

    assert said.status == status
    assert said.answer == {"error": {"kind": kind, "message": message}}


def test_a_check_that_is_asked_to_stop_speaks_of_nothing_that_it_kept(home: Shop) -> None:
    home.feed(transform=add_transform(home, "stopping", STOPPING), chunk_rows=1)
    home.write_csv("products.csv", products([1, 2]))

    said = run_restock(["check", "products"], home)  # in a process of its own, which keeps what it was asked

    assert said.returncode == 1
    assert said.stderr.splitlines()[-1] == (
        "restock was asked to stop and did. Nothing is half done; start again to go on."
    )


def test_the_help_of_force_names_each_limit_that_it_lifts(capfd: Capture) -> None:
    said = run_here(capfd, "sync", "--help")

    assert "(min_rows, max_rejects, max_chunk_rejects)" in " ".join(said.out.split())


STOPPING = """\
import os, signal

def clean(frame):
    os.kill(os.getpid(), signal.SIGINT)
    return frame
"""

NOISY = """\
import os, sys
print("the module speaks")
os.system("echo a child speaks")

def clean(frame):
    print("the transform speaks")
    sys.stdout.write("without an end")
    os.write(1, b"past Python")
    return frame
"""


def test_json_is_all_there_is_on_standard_output_whatever_the_user_s_code_prints(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(transform=add_transform(sqlite_shop, "noisy", NOISY))
    app = sqlite_shop.folder / sqlite_shop.package / "__init__.py"
    app.write_text(app.read_text(encoding="utf-8") + "\nprint('the app speaks')\n", encoding="utf-8")
    sqlite_shop.write_csv("products.csv", products([1]))

    done = run_restock(["sync", "products", "--json"], sqlite_shop)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["inserted"] == 1
    assert done.stdout.count("\n") == 1
    for words in ("the module speaks", "a child speaks", "the transform speaks", "past Python", "the app speaks"):
        assert words in done.stderr


def test_reprocess_gives_its_runs_and_what_is_left(home: Shop, capfd: Capture) -> None:
    run_id = failed_night(home)

    failing = run_here(capfd, "reprocess", "--json")
    mend_transform(home)
    done = run_here(capfd, "reprocess", "--run", run_id, "--json")
    nothing = run_here(capfd, "reprocess", "--json")

    assert (failing.status, failing.answer["outstanding"]) == (1, 1)
    assert list(done.answer) == ["runs", "outstanding"]
    assert [list(run) for run in done.answer["runs"]] == [SUMMARY]
    assert (done.status, done.answer["runs"][0]["run_id"], done.answer["outstanding"]) == (0, run_id, 0)
    assert (nothing.status, nothing.answer) == (0, {"runs": [], "outstanding": 0})


def test_reprocess_says_when_there_is_nothing_to_do(home: Shop, capfd: Capture) -> None:
    said = run_here(capfd, "reprocess")

    assert said.status == 0
    assert said.out == "There is nothing to load again: no chunk of a feed in feeds.yaml is outstanding.\n"


def test_reprocess_of_one_run_that_owes_nothing_speaks_of_that_run_alone(home: Shop, capfd: Capture) -> None:
    """It said that no feed's chunk was outstanding, while another run owed some."""
    home.write_csv("products.csv", products([9]))
    done = sync(home).run.run_id
    owing = failed_night(home)

    said = run_here(capfd, "reprocess", "--run", done)

    assert (said.status, run_here(capfd, "show", owing, "--json").answer["outstanding"]) == (0, 1)
    assert said.out == f"There is nothing to load again: no chunk of run {done} is outstanding.\n"


def test_reprocess_names_the_runs_of_feeds_that_feeds_yaml_has_lost(home: Shop, capfd: Capture) -> None:
    run_id = failed_night(home)
    home.feeds({"renamed": {"source": "products.csv", "match_on": ["sku"]}})

    said = run_here(capfd, "reprocess")

    assert said.status == 0
    assert f"Run {run_id} of feed products owes chunks, and feeds.yaml does not have that feed any more" in said.err


def test_a_run_whose_feed_feeds_yaml_has_lost_can_be_seen_and_given_up(home: Shop, capfd: Capture) -> None:
    run_id = failed_night(home)
    home.feeds({"renamed": {"source": "products.csv", "match_on": ["sku"]}})

    shown = run_here(capfd, "show", run_id, "--json")
    refused = run_here(capfd, "reprocess", "--run", run_id)
    given_up = run_here(capfd, "abandon", run_id)

    assert (shown.status, shown.answer["feed"], shown.answer["outstanding"]) == (0, "products", 1)
    assert refused.status == 2
    assert f"put it back, or give the run's chunks up with `restock abandon {run_id}`." in refused.err
    assert given_up.status == 0
    assert run_here(capfd, "show", run_id, "--json").answer["outstanding"] == 0


def test_a_correction_answers_like_any_reprocess(home: Shop, capfd: Capture) -> None:
    home.write_csv("products.csv", [product(1, price="cheap")])
    path = export(home, sync(home).run.run_id)
    mend(path, {"S-001": {"price": "1.00"}})

    said = run_here(capfd, "reprocess", "--rejects", path.name, "--json")

    assert said.status == 0
    assert said.answer["outstanding"] == 0
    assert [run["inserted"] for run in said.answer["runs"]] == [1]


def test_runs_are_listed_newest_first(home: Shop, capfd: Capture) -> None:
    home.write_csv("products.csv", products([1]))
    first = sync(home).run.run_id
    second = sync(home).run.run_id

    said = run_here(capfd, "runs", "--json")

    assert said.status == 0
    assert [run["run_id"] for run in said.answer["runs"]] == [second, first]
    assert all(list(run) == [*TOTALS, "started_at"] for run in said.answer["runs"])
    assert said.answer["unreached"] == []


def test_before_the_first_sync_there_are_no_runs_and_no_tables_of_ours(home: Shop, capfd: Capture) -> None:
    said = run_here(capfd, "runs")

    assert (said.status, said.out) == (0, "There are no runs yet.\n")
    assert home.tables() == ["category", "product"]


def test_runs_of_feeds_that_come_through_different_apps_of_one_database_are_listed_once(
    home: Shop, capfd: Capture
) -> None:
    code = f"from {home.package} import create_app\nother = create_app()\n"
    (home.folder / home.package / "second.py").write_text(code, encoding="utf-8")
    feed = {"match_on": ["sku"], "source": "products.csv"}
    home.feeds({"first": feed, "products": feed | {"app": f"{home.package}.second:other"}})
    home.write_csv("products.csv", [product(1, price="cheap")])
    run_id = sync(home).run.run_id

    listed = run_here(capfd, "runs", "--json")
    shown = run_here(capfd, "show", run_id, "--json")

    assert [run["run_id"] for run in listed.answer["runs"]] == [run_id]
    assert shown.status == 0, shown.out


def test_a_database_that_does_not_answer_is_named_and_the_others_are_listed(home: Shop, capfd: Capture) -> None:
    home.write_csv("products.csv", products([1]))
    run_id = sync(home).run.run_id
    feed = {"match_on": ["sku"]}
    home.feeds({"lost": feed | {"app": "nowhere:app"}, "products": feed})

    said = run_here(capfd, "runs", "--json")
    people = run_here(capfd, "runs")

    assert [run["run_id"] for run in said.answer["runs"]] == [run_id]
    assert [each["feed"] for each in said.answer["unreached"]] == ["lost"]
    assert "Feed lost could not be asked: The app nowhere:app cannot be imported" in people.err
    assert (said.status, people.status) == (1, 1)


def test_a_ledger_that_may_not_be_read_is_named_and_the_others_are_listed(
    make_shop: MakeShop, postgresql_url: str, sqlite_url: str, capfd: Capture
) -> None:
    """The database user had lost its rights, and `restock runs` and its like ended with that for all feeds."""
    lost = make_shop(postgresql_url)
    create_ledgers()
    lost.execute(f"ALTER DATABASE {lost.engine.url.database} SET role = pg_monitor")
    shop = make_shop(sqlite_url)
    shop.feeds({"lost": {"match_on": ["sku"], "app": lost.app, "model": lost.model()}, "products": {}})
    shop.write_csv("products.csv", products([1]))
    run_id = sync(shop).run.run_id
    lost.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()"
    )

    listed, shown = run_here(capfd, "runs", "--json"), run_here(capfd, "show", run_id, "--json")
    again = run_here(capfd, "reprocess")

    assert [run["run_id"] for run in listed.answer["runs"]] == [run_id]
    assert (listed.status, shown.status) == (1, 0)
    assert "Feed lost could not be asked: The database failed while reading the ledger" in again.err


def test_a_run_whose_feed_cannot_be_opened_is_shown_and_its_trouble_is_named(home: Shop, capfd: Capture) -> None:
    run_id = failed_night(home)
    feed = {"match_on": ["sku"]}
    home.feeds({"other": feed, "products": feed | {"app": "nowhere:app"}})

    shown = run_here(capfd, "show", run_id, "--json")
    tried = run_here(capfd, "reprocess", "--run", run_id)

    assert (shown.status, shown.answer["outstanding"]) == (0, 1)
    assert tried.status == 1
    assert tried.sentence.startswith("Feed products could not be asked: The app nowhere:app cannot be imported")


def test_a_database_that_does_not_answer_is_not_said_to_have_no_runs(home: Shop, capfd: Capture) -> None:
    home.feed(app="nowhere:app")

    said = run_here(capfd, "runs")

    assert (said.status, said.out) == (1, "")
    assert said.sentence.startswith("Feed products could not be asked: The app nowhere:app cannot be imported")


def test_a_database_under_two_addresses_has_each_run_once(home: Shop, capfd: Capture) -> None:
    package = home.folder / home.package
    url = home.engine.url.render_as_string()
    code = (package / "__init__.py").read_text(encoding="utf-8").replace(repr(url), repr(f"{url}?timeout=7"))
    (package / "other.py").write_text(code.replace("from .models", f"from {home.package}.models"), encoding="utf-8")
    feed = {"match_on": ["sku"], "source": "products.csv"}
    home.feeds({"products": feed, "second": feed | {"app": f"{home.package}.other:create_app"}})
    home.write_csv("products.csv", products([1]))
    run_id = run_here(capfd, "sync", "second", "--json").answer["run_id"]

    assert run_here(capfd, "show", run_id, "--json").answer["feed"] == "second"
    assert [run["run_id"] for run in run_here(capfd, "runs", "--json").answer["runs"]] == [run_id]


@pytest.mark.parametrize("days", ["nan", "-1"])
def test_prune_refuses_an_age_that_is_none(home: Shop, capfd: Capture, days: str) -> None:
    said = run_here(capfd, "prune", f"--older-than={days}")

    assert said.status == 2
    assert said.sentence == f"Runs cannot be older than {float(days):g} days; give a number from 0 up."


def test_prune_clears_away_what_it_can_and_says_what_it_could_not_ask(home: Shop, capfd: Capture) -> None:
    feed = {"match_on": ["sku"]}
    home.feeds({"lost": feed | {"app": "nowhere:app"}, "products": feed})

    said = run_here(capfd, "prune")

    assert said.status == 1
    assert said.out == "0 runs forgotten, and 0 leavings gone from the spool; unknown files stay there.\n"
    assert said.sentence.startswith("Feed lost could not be asked: The app nowhere:app cannot be imported")


PICKY = """\
from restock import reject

def clean(frame):
    for number, row in enumerate(frame.index):
        frame = reject(frame, frame.index == row, f"picky:{number}", "name")
    return frame
"""


def test_show_gives_the_chunks_and_the_reasons_of_a_run(home: Shop, capfd: Capture) -> None:
    run_id = failed_night(home)

    said = run_here(capfd, "show", run_id, "--json")

    assert said.status == 0
    assert list(said.answer) == [*TOTALS, "reason", "ignored_columns", "chunks", "rejects"]
    assert [(chunk["number"], chunk["status"]) for chunk in said.answer["chunks"]] == [(1, "loaded"), (2, "failed")]
    assert said.answer["rejects"] == [{"code": "not_a_number", "column": "price", "rows": 1}]


def test_show_for_people_names_the_failed_chunk_and_why(
    home: Shop, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run_id = failed_night(home)

    said = run_here(capfd, "show", run_id)

    assert said.status == 0
    assert run_id in said.out
    assert "failed" in said.out
    assert "ValueError" in said.out
    assert "secret" not in said.out


@pytest.mark.parametrize("ends", ["by a chunk that failed", "with its process", "not yet"])
def test_show_says_how_a_run_goes_on_that_nobody_is_at_work_on(home: Shop, capfd: Capture, ends: str) -> None:
    run_id = failed_night(home)
    with ExitStack() as stack:
        if ends != "by a chunk that failed":
            home.execute("UPDATE restock_chunk SET status = 'planned', error = NULL WHERE status = 'failed'")
            home.execute("UPDATE restock_run SET status = 'running'")
        if ends == "not yet":
            sink = open_sink(open_workplace().feed("products"))
            lease = take_lease(sink.database, sink.target.name, "products")
            stack.enter_context(keeping(sink.database, lease))
            sink.ledger.resume(lease, run_id)
        shown = run_here(capfd, "show", run_id)

    advice = f"with `restock reprocess --run {run_id}`."
    assert shown.status == 0
    assert (advice in shown.out) == (ends != "not yet")
    assert ("1 of 2 chunks failed (2), the first with: " in shown.out) == (ends == "by a chunk that failed")


def test_show_says_why_a_run_is_held_and_rejects_which_run_has_none(home: Shop, capfd: Capture) -> None:
    home.feed(max_rejects=0)
    home.write_csv("products.csv", [product(1), product(2, price="cheap")])
    run_id = sync(home).run.run_id

    shown, listed = run_here(capfd, "show", run_id), run_here(capfd, "rejects", run_id)

    assert f"Run {run_id} is held: 1 reject in 2 rows with chunk 1, more than max_rejects 0" in shown.out
    assert "`restock check products --samples` shows them, but for what the database refused" in shown.out
    assert (listed.status, listed.out) == (0, f"Run {run_id} has no open rejects.\n")


def test_show_lists_every_reason_that_a_sync_shortens(home: Shop, capfd: Capture) -> None:
    home.feed(transform=add_transform(home, "picky", PICKY))
    home.write_csv("products.csv", products(range(1, 13)))

    synced = run_here(capfd, "sync", "products")
    run_id = list_runs()[0][0][0].run_id
    shown = run_here(capfd, "show", run_id)

    assert f"and 4 more reasons; `restock show {run_id}` has all" in synced.out
    assert "more reasons" not in shown.out
    assert all(f"(picky:{number})" in shown.out for number in range(12))


def test_rejects_are_shown_with_their_place_and_value(home: Shop, capfd: Capture) -> None:
    run_id = failed_night(home)

    said = run_here(capfd, "rejects", run_id)

    assert said.status == 0
    assert re.search(r"2\W+3\W+S-002\W+not_a_number\W+price\W+cheap", said.out)
    assert "byte" not in said.out  # none of them has to be found by it


def test_cells_are_shown_as_they_are_whatever_rich_would_make_of_them(home: Shop, capfd: Capture) -> None:
    odd = ["[/b]", "[red]", ":warning:"]
    home.write_csv("products.csv", [product(number, price=value) for number, value in enumerate(odd)])
    run_id = sync(home).run.run_id

    rejects = run_here(capfd, "rejects", run_id)
    checked = run_here(capfd, "check", "products", "--samples")

    assert [each for each in odd if each in rejects.out] == odd
    assert [each for each in odd if each in checked.out] == odd


def test_a_feed_is_called_at_a_terminal_what_feeds_yaml_calls_it(
    home: Shop, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # to Rich, standard error is a terminal then
    home.feeds({"shop[/]": {"match_on": ["sku"], "source": "products.csv"}})
    home.write_csv("products.csv", [product(1)])

    said = run_here(capfd, "sync", "shop[/]")

    assert said.status == 0
    assert "loading shop[/]" in said.err


def test_rejects_are_written_where_they_are_asked_for(home: Shop, capfd: Capture) -> None:
    run_id = failed_night(home)

    said = run_here(capfd, "rejects", run_id, "--csv", "mine.csv")

    assert said.status == 0
    assert said.out.startswith("1 reject written to mine.csv;")
    assert (home.folder / "mine.csv").read_text(encoding="utf-8").splitlines()[0].startswith("sku,name,price,stock,")


@pytest.mark.parametrize("command", ["rejects", "superseded"])
def test_a_file_that_is_there_is_not_written_over(home: Shop, capfd: Capture, command: str) -> None:
    run_id = failed_night(home)
    (home.folder / "mine.csv").write_text("corrections of an hour", encoding="utf-8")

    said = run_here(capfd, command, run_id, "--csv", "mine.csv")

    assert (said.status, said.out) == (1, "")
    assert said.sentence.startswith("mine.csv is there already,")
    assert (home.folder / "mine.csv").read_text(encoding="utf-8") == "corrections of an hour"


@pytest.mark.parametrize("command", ["rejects", "superseded"])
def test_a_file_that_cannot_be_written_is_refused_with_a_sentence(home: Shop, capfd: Capture, command: str) -> None:
    run_id = failed_night(home)

    said = run_here(capfd, command, run_id, "--csv", "no-folder/mine.csv")

    assert (said.status, said.out) == (1, "")
    assert said.sentence == "no-folder/mine.csv cannot be written: No such file or directory."


def test_of_a_list_that_is_damaged_no_file_is_left_in_the_way(home: Shop, capfd: Capture) -> None:
    run_id = failed_night(home)
    (home.folder / "spool" / f"{run_id}.superseded.parquet").write_bytes(b"PAR1")

    for _ in range(2):
        said = run_here(capfd, "superseded", run_id, "--csv", "mine.csv")
        assert said.sentence == f"The list of superseded rows of run {run_id} cannot be read; its spool is damaged."
    assert not (home.folder / "mine.csv").exists()


def test_abandon_gives_a_chunk_up_and_says_so(home: Shop, capfd: Capture) -> None:
    run_id = failed_night(home)

    given_up = run_here(capfd, "abandon", run_id, "--chunk", "2")
    shown = run_here(capfd, "show", run_id, "--json")

    assert given_up.status == 0
    assert "abandoned" in given_up.out
    assert (shown.answer["abandoned"], shown.answer["outstanding"]) == (1, 0)
    assert not list((home.folder / "spool").rglob("*.arrows"))


def test_init_creates_the_ledger_and_may_be_repeated(home: Shop, capfd: Capture) -> None:
    first, second = run_here(capfd, "init"), run_here(capfd, "init")

    assert (first.status, second.status) == (0, 0)
    assert first.out.startswith("The ledger is ready in the SQLite file ")
    assert {"restock_run", "restock_chunk", "restock_reject", "restock_lease", "restock_fence"} < set(home.tables())
    assert everything(home) == ([], {})


def test_init_creates_a_ledger_in_each_database_of_the_feeds(
    home: Shop, make_shop: MakeShop, make_database: MakeDatabase, capfd: Capture
) -> None:
    other = make_shop(make_database("sqlite"))
    feed = {"match_on": ["sku"]}
    home.feeds({"products": feed, "others": feed | {"app": other.app, "model": other.model()}})

    said = run_restock(["init"], home, {"RESTOCK_FEEDS": "feeds.yaml", "PYTHONPATH": str(other.folder)})

    assert said.returncode == 0, said.stderr
    assert said.stdout.count("The ledger is ready in ") == 2
    assert "restock_run" in other.tables()


def test_another_file_of_the_folder_can_be_read_in_place_of_the_source(home: Shop, capfd: Capture) -> None:
    home.write_csv("late.csv", products([7]))

    said = run_here(capfd, "sync", "products", "--file", "late.csv", "--json")

    assert (said.status, said.answer["source"], said.answer["inserted"]) == (0, "late.csv", 1)


def test_an_error_nobody_foresaw_is_one_sentence_without_values(sqlite_shop: Shop) -> None:
    sqlite_shop.write_csv("products.csv", products([1]))
    (sqlite_shop.folder / "spool").write_text("in the way", encoding="utf-8")

    said = run_restock(["sync", "products", "--json"], sqlite_shop)

    assert said.returncode == 1
    assert list(json.loads(said.stdout)["error"]) == ["kind", "message"]
    assert "Traceback" not in said.stderr
    assert str(sqlite_shop.folder.parent) not in said.stdout + said.stderr


def test_the_list_of_runs_reads_the_chunks_of_each_once_and_no_reject(home: Shop) -> None:
    run_id = failed_night(home)
    engine = open_sink(open_workplace().feed("products")).database.engine

    with recorded_statements(engine) as statements:
        [(run, summary)], _ = list_runs()

    assert (run.run_id, summary.rejected, summary.outstanding) == (run_id, 1, 1)
    assert not [each for each in statements if "FROM restock_reject" in each]
    assert len([each for each in statements if "FROM restock_chunk" in each]) == 1


def test_a_report_reads_the_chunks_of_its_run_once(home: Shop) -> None:
    run_id = failed_night(home)
    engine = open_sink(open_workplace().feed("products")).database.engine

    with recorded_statements(engine) as statements:
        report = report_of(run_id)

    assert (report.summary.rejected, len(report.chunks)) == (1, 2)
    assert len([each for each in statements if "FROM restock_chunk" in each]) == 1


# Somebody presses Ctrl-C while the command is still being imported, of which a busy machine makes seconds.
INTERRUPTED = """
import sys

class Finder:
    def find_spec(self, name, *_):
        if name == "sqlalchemy":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
from flows.cli import main
main()
"""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_command_that_is_interrupted_while_it_is_imported_says_so(home: Shop, options: list[str]) -> None:
    command = [sys.executable, "-c", INTERRUPTED, "sync", "products", *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    told = "Interrupted. Nothing is half done; start again to go on."
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    if options:
        assert json.loads(ended.stdout) == {"error": {"kind": "Interrupted", "message": told}}
    else:
        assert ended.stderr.endswith(f"{told}\n")
