"""All cases, in the order of the report. A case is an entry here and functions in `benchmarks/ways/`.

To add one:

1. Write a function for each way in a module of `benchmarks/ways/` (at most 15 modules; related cases share one).
   It is called as `function(size, *arguments)` in a process of its own, does what is not timed, and returns
   what is: a function without arguments. Import heavy libraries at the module's top: nothing else imports it.
   It may return a `Ready`, which makes plain values of the result and prepares the next run untimed;
   or be a `contextlib.contextmanager` that yields either, to clean up.
2. What a run returns (or `answer` makes of it) has to be the same in all ways of a case, numbers to a millionth;
   what comes to another result than the first floor does not count. None is not compared.
3. A run that starts whole commands returns what they cost: `commands.trikk(folder, "run", "nightly")` and
   `commands.python(folder, "script.py", ...)` give a `Sample`; `+` adds them up, `.telling(answer)` gives them an
   answer. `commands.fresh()` is an empty folder.
4. A way that can't be had here raises `Unavailable(reason)`, and is left out by that name and reason.
5. Add the `Case`. `target` is a ratio to the first floor. `quick` is the size for `make bench-quick`: at most
   about a second a run, on either build. `why` says where the time goes, if trikk costs more.

`python -m benchmarks --only NAME` measures it; `--only NAME --against COMMIT` compares two builds with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.case import Case, Work, work

PEERS = ("luigi", "kedro", "metaflow", "prefect", "dagster", "dagster, one process")


def peers(case: str) -> Mapping[str, Work]:
    """The workflow tools, doing a case of `flows/`."""
    return {name: work("peers:run", case, name) for name in PEERS}


def forked(case: str) -> dict[str, Work]:
    """The floor that keeps trikk's promise for a step: a process of its own, its result synced and renamed."""
    return {"fork + fsync": work("steps:by_hand", case, "fork-durable")}


PLAIN = "plain calls"
STEPS = (
    Case(
        name="import",
        about="import of the package, one process",
        size=1,
        trikk=work("steps:start_of_python", "import trikk"),
        floors={"python -c pass": work("steps:start_of_python", "pass")},
        peers={
            name: work("peers:start", f"import {'kedro.pipeline' if name == 'kedro' else name}", name)
            for name in PEERS[:5]
        },
        target=6,
        quick=1,
        why="Interpreter and package are all there is to it.",
    ),
    Case(
        name="help",
        about="the command's `--help`",
        size=1,
        trikk=work("steps:start_of_trikk", "--help"),
        floors={"python -c pass": work("steps:start_of_python", "pass")},
        peers={name: work("peers:start", "help", name) for name in PEERS[:5]},
        why="It imports click and the list of commands.",
    ),
    Case(
        name="one",
        about="one step that adds 1, everything cold",
        size=1,
        trikk=work("steps:trikk", "one"),
        floors={
            **forked("one"),
            PLAIN: work("steps:by_hand", "one", "plain"),
            "python -c": work("steps:by_hand", "one", "spawn"),
        },
        peers=peers("one"),
        by="seconds",
        quick=1,
        why="The command, the lock of code and packages, the journal and the imports come before the step.",
    ),
    Case(
        name="chain",
        about="what each of {size} steps in a row adds, start taken off",
        size=50,
        trikk=work("steps:trikk", "chain"),
        floors={
            **forked("chain"),
            PLAIN: work("steps:by_hand", "chain", "plain"),
            "python -c": work("steps:by_hand", "chain", "spawn"),
        },
        peers=peers("chain"),
        by="seconds",
        target=1.5,
        less="one",
        quick=50,
        why="Page faults of the worker, two transactions of the journal, JSON between three processes.",
    ),
    Case(
        name="fan",
        about="{size} steps side by side between one and a sum, start taken off",
        size=50,
        trikk=work("steps:trikk", "fan"),
        floors={**forked("fan"), PLAIN: work("steps:by_hand", "fan", "plain")},
        peers=peers("fan"),
        by="seconds",
        target=2,
        less="one",
        quick=50,
        why="The same; the driver is one process, and every step passes it twice.",
    ),
    Case(
        name="long-chain",
        about="{size} steps in a row, against as many in chains of 100, starts taken off",
        size=2000,
        trikk=work("steps:trikk", "chain"),
        floors={"trikk, 100 steps": work("steps:trikk", "chain", size=100)},
        less="one",
        target=1.1,
    ),
    Case(
        name="resume",
        about="{size} steps, step 8 failed: the second try",
        size=10,
        trikk=work("steps:trikk", "resume"),
        floors=forked("resume"),
        peers=peers("resume"),
        by="seconds",
        why="The start, as in `one`; nothing that had finished runs again.",
    ),
    Case(
        name="kill",
        about="{size} steps, `kill -9` of the process group in step 5: the second try",
        size=10,
        trikk=work("steps:trikk", "kill"),
        floors=forked("kill"),
        peers=peers("kill"),
        by="seconds",
        why="The start, as in `one`, and the lease of the dead driver.",
    ),
    Case(
        name="driver-memory",
        about="peak memory of the driver alone in a chain of {size}, against one of 50",
        size=2000,
        trikk=work("steps:trikk_driver", "chain"),
        floors={"trikk, 50 steps": work("steps:trikk_driver", "chain", size=50)},
        by="peak",
        target=1.1,
        why="It keeps the graph and each step's last state.",
    ),
    Case(
        name="runs",
        about="`trikk runs` over a journal of {size} runs, against one of 100",
        size=100_000,
        trikk=work("steps:runs"),
        floors={"trikk, 100 runs": work("steps:runs", 100)},
        target=1.5,
    ),
    Case(
        name="traced-one",
        about="one step, its trace sent to a collector",
        size=1,
        trikk=work("steps:traced", "one"),
        floors={"trikk, no traces": work("steps:trikk", "one")},
        why="The driver imports the SDK and the exporter; under `trikk serve` it is a fork of what has.",
    ),
    Case(
        name="traced-chain",
        about="what each of {size} traced steps in a row adds, start taken off",
        size=50,
        trikk=work("steps:traced", "chain"),
        floors={"trikk, no traces": work("steps:trikk", "chain")},
        target=1.03,
        less="traced-one",
    ),
)
FRAMES = (
    Case(
        name="frame",
        about="a polars frame of {size} x 12 through 3 isolated steps",
        size=500_000,
        trikk=work("steps:trikk", "polars"),
        floors={
            "raw Arrow IPC": work("steps:by_hand", "polars", "arrow"),
            "raw Arrow IPC + fsync": work("steps:by_hand", "polars", "arrow-sync"),
            "in memory": work("steps:by_hand", "polars", "memory"),
            "raw Parquet": work("steps:by_hand", "polars", "parquet"),
        },
        by="seconds",
        target=1.15,
        quick=200_000,
        why="A fresh process faults its memory in anew, verifies what it reads and syncs what it writes.",
    ),
    Case(
        name="frame-pandas",
        about="the same with pandas",
        size=500_000,
        trikk=work("steps:trikk", "pandas"),
        floors={
            "raw Arrow IPC": work("steps:by_hand", "pandas", "arrow"),
            "raw Arrow IPC + fsync": work("steps:by_hand", "pandas", "arrow-sync"),
            "in memory": work("steps:by_hand", "pandas", "memory"),
            "pickle": work("steps:by_hand", "pandas", "pickle"),
        },
        peers=peers("pandas"),
        by="seconds",
        target=1.15,
        why="As in `frame`.",
    ),
)
CITY = (
    Case(
        name="city-night",
        about="{size} departures: features of a week, predictions, a table's version, a stream; 4 isolated steps",
        size=500_000,
        trikk=work("city_day:by_trikk", "nightly"),
        floors={
            "by hand, results kept": work("city_day:by_hand", "nightly", "kept"),
            "by hand": work("city_day:by_hand", "nightly"),
        },
        target=1.25,
        why="Ids and digests of rows that can be proved, each frame read and verified in a fresh process.",
    ),
    Case(
        name="city-day",
        about="{size} raw counts from a file into their table, and that night",
        size=500_000,
        trikk=work("city_day:by_trikk", "day"),
        floors={
            "by hand, results kept": work("city_day:by_hand", "day", "kept"),
            "by hand": work("city_day:by_hand", "day"),
        },
        why="As in `city-night`; and of the file every value decides its column's type.",
    ),
    Case(
        name="city-train",
        about="a model of 100 trees is trained on {size} departures and registered",
        size=500_000,
        trikk=work("city_day:by_trikk", "train"),
        floors={
            "by hand, results kept": work("city_day:by_hand", "train", "kept"),
            "by hand": work("city_day:by_hand", "train"),
        },
        target=1.25,
        why="The training rows are kept and read again, and the model is asked to prove its signature.",
    ),
)
EVALUATIONS = (
    Case(
        name="evaluation-small",
        about="one more day of {size} predictions evaluated, with drift of predictions and truths",
        size=432,
        trikk=work("evaluation:trikk", True),
        floors={"polars and numpy": work("evaluation:by_hand", True)},
        target=5,
        quick=432,
        why="Each slice's figures are objects and JSON in the ledger; logs, cursors and kept profiles are read.",
    ),
    Case(
        name="evaluation",
        about="one more day of {size} predictions evaluated: 5 metrics, 400 lines, 24 hours",
        size=500_000,
        trikk=work("evaluation:trikk", False),
        floors={"polars": work("evaluation:by_hand", False)},
        target=1.2,
        quick=200_000,
        why="Hashes of the keys and of the rows say that no key is repeated, and whether anything is new.",
    ),
    Case(
        name="evaluation-drift",
        about="the same, and predictions and truths compared with those of three days",
        size=500_000,
        trikk=work("evaluation:trikk", True),
        floors={"polars and numpy": work("evaluation:by_hand", True)},
        target=1.5,
        why="As in `evaluation`; the day's values are summed up so that they can be merged.",
    ),
    Case(
        name="evaluation-memory",
        about="the peak of memory of the same",
        size=500_000,
        trikk=work("evaluation:trikk", True),
        floors={"polars and numpy": work("evaluation:by_hand", True)},
        by="peak",
        target=1.25,
        why="The rows are there with the values of their slices until all figures are made.",
    ),
)
DATA = (
    Case(
        name="gate",
        about="ten checks of {size} rows in memory",
        size=2_000_000,
        trikk=work("quality:by_gate", "good"),
        floors={
            "one polars query": work("quality:by_hand", "good"),
            "Pandera, 7 of them": work("quality:by_pandera", "good"),
        },
        target=2,
        quick=500_000,
    ),
    Case(
        name="gate-fails",
        about="the same, of which three fail",
        size=2_000_000,
        trikk=work("quality:by_gate", "bad"),
        floors={"one polars query": work("quality:by_hand", "bad")},
        target=2,
        why="It looks up the rows that failed.",
    ),
    Case(
        name="gate-parquet",
        about="the same from Parquet, all pass",
        size=2_000_000,
        trikk=work("quality:by_gate", "parquet"),
        floors={"one polars query": work("quality:by_hand", "parquet")},
        target=2,
    ),
    Case(
        name="feature-join",
        about="{size} trips with what was known of {size} facts at their departure",
        size=2_000_000,
        trikk=work("feature_tables:join", "trikk"),
        floors={"polars by hand": work("feature_tables:join", "hand")},
        target=1.5,
        quick=300_000,
    ),
    Case(
        name="table-versions",
        about="20 writes of ten rows into a table of {size} versions",
        size=10_000,
        trikk=work("tables:appends", "trikk"),
        floors={
            "delta-rs, no sync": work("tables:appends", "delta-rs"),
            "trikk, 100 versions": work("tables:appends", "trikk", 100),
        },
        target=1.5,
        why="Each write is synced, has its digests noted, and looks first whether it was made before.",
    ),
    Case(
        name="merge-wide",
        about="ten rows replaced in a table of {size} columns",
        size=1_600,
        trikk=work("tables:merge", "trikk"),
        floors={
            "polars and fsync": work("tables:merge", "hand"),
            "delta-rs": work("tables:merge", "delta-rs"),
        },
        quick=400,
        why="The schema is JSON in the log; files are hashed when they are read and when they are written.",
    ),
    *(
        Case(
            name=f"features-{size}-{store}",
            about=f"1,000 keys from {title}, {{size}} at a time",
            size=size,
            trikk=work("feature_tables:online", store, "trikk"),
            floors={"bare client": work("feature_tables:online", store, "hand")},
            why="It checks the keys, reads the definition's version, and makes typed values that know their age.",
        )
        for store, title in (("sqlite", "SQLite"), ("redis", "Redis"))
        for size in (1, 1_000)
    ),
    Case(
        name="publish",
        about="{size} predictions to Apache Kafka, exactly once",
        size=300_000,
        trikk=work("brokers:by_trikk"),
        floors={
            "bare client, same messages": work("brokers:by_client"),
            "bare client, json.dumps": work("brokers:by_client", "dumps"),
            "bare client, no headers": work("brokers:by_client", "bare"),
        },
        target=1.3,
        why="It checks and encodes every row, where the bare client's messages are ready.",
    ),
    Case(
        name="stream-kafka",
        about="{size} records of Kafka into a table, offsets in its commits",
        size=200_000,
        trikk=work("brokers:stream_by_trikk", "kafka"),
        floors={"bare client, same commits": work("brokers:stream_by_client", "kafka")},
        target=1.5,
        why="Each record is checked against the table's columns.",
    ),
    Case(
        name="stream-mqtt",
        about="{size} messages of MQTT (QoS 1) into a table, acknowledged after its commits",
        size=20_000,
        trikk=work("brokers:stream_by_trikk", "mqtt"),
        floors={"bare client, same commits": work("brokers:stream_by_client", "mqtt")},
        target=1.5,
    ),
    *(
        Case(
            name=f"endpoint-{size}",
            about="1,000 requests to a model over HTTP, {size} at a time",
            size=size,
            trikk=work("endpoint:by_trikk"),
            floors={
                "bare server": work("endpoint:bare"),
                "trikk, --no-log": work("endpoint:by_trikk", "--no-log"),
            },
            peers={
                "mlflow, 1 worker": work("endpoint:by_mlflow", 1),
                "mlflow, 2 workers": work("endpoint:by_mlflow", 2),
            },
            by="seconds",
            why="Two processes, checks of the row, and a log of the prediction before the answer.",
        )
        for size in (1, 8, 32)
    ),
)
MONITORING = (
    Case(
        name="monitor",
        about="{size} predictions joined with their truths: 5 metrics of all and of 20 lines",
        size=3_000_000,
        trikk=work("departures:by_monitor"),
        floors={"polars by hand": work("departures:by_polars"), "DuckDB by hand": work("departures:by_duckdb")},
        target=1.5,
        quick=500_000,
        why="It counts what is missing on either side, and looks for keys that are there twice.",
    ),
    Case(
        name="classes",
        about="a classifier's figures of {size} cases, 10 classes, all and 20 lines",
        size=500_000,
        trikk=work("classes:by_monitor"),
        floors={"polars by hand": work("classes:by_polars"), "scikit-learn": work("classes:by_sklearn")},
        target=1.5,
        quick=500_000,
    ),
    Case(
        name="drift",
        about="how far 30 columns of two frames of {size} are apart",
        size=200_000,
        trikk=work("drift:by_trikk", "rows"),
        floors={
            "scipy by hand": work("drift:by_scipy"),
            "trikk, by sketches": work("drift:by_trikk", "sketches"),
            "trikk, from profiles": work("drift:by_trikk", "profiles"),
        },
        peers={"evidently": work("drift:by_evidently")},
        target=1.2,
        quick=50_000,
    ),
    Case(
        name="morning",
        about="a night of {size} predictions and the commands after it, after 500 nights, against 50",
        size=4_800,
        trikk=work("history:morning", 500),
        floors={"trikk, after 50 nights": work("history:morning", 50)},
        target=1.1,
        why="A table of many files takes longer to open, and the report reads all incidents.",
    ),
)
SCHEDULERS = ("prefect", "dagster")
SERVER = (
    *(
        Case(
            name=f"due-{size}",
            about="{size} schedules due in one minute: how late first steps begin, the 99th percentile",
            size=size,
            trikk=work("server:due_by_trikk"),
            floors={"an interpreter for each job": work("server:due_by_hand")},
            peers={name: work("server:due_by_peer", name) for name in SCHEDULERS if size == 200},
            by="seconds",
            patience=1500,
            why="Each run has a driver and a host, a lock, a journal and results that last.",
        )
        for size in (200, 1_000)
    ),
    Case(
        name="due-alone",
        about="one schedule, each five seconds, {size} times: how late its first step begins",
        size=10,
        trikk=work("server:lone"),
        by="seconds",
        patience=300,
    ),
    *(
        Case(
            name=f"event-{kind}",
            about=f"{title}, {{size}} times: how much later a step begins",
            size=10,
            trikk=work("server:event", kind),
            by="seconds",
            patience=300,
        )
        for kind, title in (("file", "a file is moved into a folder"), ("webhook", "a signed call"))
    ),
    Case(
        name="server-at-rest",
        about="a minute of a server with {size} schedules, none of them due",
        size=500,
        trikk=work("server:at_rest"),
        patience=300,
    ),
    Case(
        name="rest-pages",
        about="pages of {size} recorded runs by HTTP, thirty of each",
        size=100_000,
        trikk=work("rest:pages_of_trikk"),
        peers={"mlflow": work("rest:pages_of_mlflow")},
        patience=900,
    ),
    *(
        Case(
            name=name,
            about=f"pages{whose} of {{size}} recorded runs in Chromium: until the slowest is on the screen",
            size=size,
            trikk=work("console:pages_of_trikk"),
            peers={peer: work(f"console:pages_of_{peer}") for peer in peers},
            by="seconds",
            patience=900,
        )
        for name, whose, size, peers in (
            ("console-pages", "", 100_000, ()),
            ("console-runs", ", and the page of runs of other tools,", 2_000, SCHEDULERS),
        )
    ),
    Case(
        name="rest-rate",
        about="1,000 requests by HTTP beside 20 runs that go on, {size} runs being recorded; half list, half show",
        size=1_000,
        trikk=work("rest:rate_of_trikk"),
        peers={"mlflow": work("rest:rate_of_mlflow")},
        patience=300,
    ),
)
ALL = (*STEPS, *FRAMES, *CITY, *EVALUATIONS, *DATA, *MONITORING, *SERVER)
