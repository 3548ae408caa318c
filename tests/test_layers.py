"""The house keeps its layers: who imports whom, what `import mixstat` costs, how long files and classes may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mixstat"
LAYERS = (
    ("exceptions",),
    ("core",),
    ("families",),
    ("fit",),
    ("inference",),
    ("formula",),
    ("results",),
    ("estimators",),
    ("policies", "studies"),
    ("datasets",),
    ("__init__",),
    ("cli",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
TABLES = {"formula", "results", "estimators", "studies", "datasets", "cli"}
DEVICE = {"core", "families", "fit", "inference", "policies"}
LINES, CLASS_LINES = 400, 150
HEAVY = ("matplotlib", "statsmodels", "tqdm", "arviz", "xarray", "blackjax", "formulaic", "polars")
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def room(path: Path) -> str:
    """The layer a file stands in: its folder, or its name at the top."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports(path: Path) -> list[tuple[str, int]]:
    """(dotted module, line) of every import, also those inside functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(name, node.lineno) for name in names]
    return found


def target(module: str) -> str | None:
    """The layer a `mixstat...` import reaches, None for other packages."""
    parts = module.split(".")
    if parts[0] != "mixstat":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in RANK else "__init__"


def offences(allowed) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE)}:{line} imports {module}"
        for path in FILES
        for module, line in imports(path)
        if not allowed(room(path), module)
    ]


def test_every_room_is_known():
    assert {room(path) for path in FILES} <= set(RANK)


def test_layers_import_only_those_before_them():
    def allowed(source: str, module: str) -> bool:
        reached = target(module)
        return reached is None or source == reached or RANK[reached] < RANK[source]

    assert offences(allowed) == []


@pytest.mark.parametrize(
    ("packages", "rooms"),
    [
        (("pandas", "formulaic", "narwhals"), TABLES),
        (("jax", "jaxlib"), DEVICE),
        (("matplotlib",), {"results", "cli"}),
        (("statsmodels",), {"cli", "datasets"}),
        (("sklearn",), {"estimators", "exceptions"}),
    ],
)
def test_packages_stand_only_where_they_may(packages, rooms):
    assert offences(lambda source, module: module.split(".")[0] not in packages or source in rooms) == []


def test_formulaic_is_reached_through_one_module():
    users = {path.name for path in FILES for module, _ in imports(path) if module.split(".")[0] == "formulaic"}
    assert users <= {"compat.py"}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_starts_no_backend_and_changes_no_configuration():
    code = (
        "import jax; before = dict(jax.config.values); import mixstat; from jax._src import xla_bridge; "
        "assert not xla_bridge.backends_are_initialized(); assert dict(jax.config.values) == before; print('same')"
    )
    assert run(code) == "same"


def test_import_is_lean():
    """Nothing heavy beyond what pandas, scipy, jax and scikit-learn themselves load."""
    code = (
        "import sys, pandas, scipy.stats, jax, sklearn.base; before = set(sys.modules); import mixstat; "
        f"print(sorted(set({HEAVY!r}) & (set(sys.modules) - before)))"
    )
    assert run(code) == "[]"


def test_import_alone_loads_nothing():
    code = "import sys; before = set(sys.modules); import mixstat; print(sorted(set(sys.modules) - before))"
    loaded = ast.literal_eval(run(code))
    assert [name for name in loaded if name.split(".")[0] in ("sklearn", "scipy", "pandas", "jax", "numpy")] == []
    assert run("import mixstat; print(mixstat.Regression.__name__, mixstat.datasets.__name__)").split() == [
        "Regression",
        "mixstat.datasets",
    ]
    assert run("from mixstat import *; print(MixtureOfExperts.__name__)") == "MixtureOfExperts"


def test_public_names_are_there_and_sorted():
    """Those of `__all__` are where `_MODULES` says, and what tools that run nothing are told."""
    import mixstat

    assert list(mixstat.__all__) == sorted(mixstat.__all__)
    assert all(hasattr(mixstat, name) for name in mixstat.__all__)
    assert sorted(name for names in mixstat._MODULES.values() for name in names) == list(mixstat.__all__)
    told = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in told.body if isinstance(node, ast.If))
    pairs = {(node.module, alias.name) for node in block.body for alias in node.names}
    homes = {(home, name) for home, names in mixstat._MODULES.items() for name in names}
    assert pairs == {("mixstat", name) if home == f"mixstat.{name}" else (home, name) for home, name in homes}
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        mixstat.nope  # noqa: B018


def test_files_and_classes_are_short():
    long = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LINES:
            long.append(f"{path.relative_to(PACKAGE)} has {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno + 1 > CLASS_LINES:
                long.append(
                    f"{path.relative_to(PACKAGE)}: class {node.name} has {node.end_lineno - node.lineno + 1} lines"
                )
    assert long == []


def test_modules_say_what_they_are():
    """Every module that holds code opens with a docstring."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    assert [str(path) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []
