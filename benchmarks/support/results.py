"One schema for all results: a row for each figure"
import csv, subprocess
from dataclasses import asdict, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

class Missing(Exception):
    "What a benchmark cannot do without; its text says what to install or fetch"

@dataclass(frozen=True)
class Figure:
    "A measured value. Raises `ValueError` for half an interval, or one that is upside down"
    experiment:str       # NAME: SETTING
    set:str              # Of what: photographs, or a task and the machine
    n:int                # Photographs, calls, requests, …
    metric:str           # With its unit, such as `seconds` or `kid_x1000`; `…_change`: a difference
    value:float
    low:float|None=None  # 95 % interval, or None
    high:float|None=None
    weights:str=''       # First 8 digits of the SHA-256 of the weights; '': none, or any would do
    def __post_init__(self):
        if ': ' not in self.experiment:
            raise ValueError(f"an experiment is NAME: SETTING, got {self.experiment!r}")
        if (self.low is None)!=(self.high is None) or self.low is not None and self.low>self.high:
            raise ValueError(f"no interval: {self.low} to {self.high}")
    @property
    def key(self):
        "What was measured, of which photographs, with which weights"
        return self.experiment,self.set,self.weights

COLUMNS = [*(o.name for o in fields(Figure)), 'commit']

def number(v):
    "Four digits, or all before the point; None is empty"
    if v is None: return ''
    return f'{v:.4g}' if abs(v)<1000 else f'{v:.0f}'

def current_commit(folder=ROOT):
    "Of the work tree; `+` behind it where files were changed since; nothing without git"
    def git(*args):
        command = ['git', '-C', str(folder), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        is_dirty = bool(git('status', '--porcelain', '-uno'))
        return git('rev-parse', '--short=7', 'HEAD') + '+'*is_dirty
    except (OSError, subprocess.CalledProcessError): return ''

class Results:
    """Figures, printed as they come and appended to a CSV file

    Raises `ValueError` for a file with other columns."""
    def __init__(self,
        path=None,   # CSV file; None: only print
        commit=None, # None: the current one
    ):
        self.path,self.commit = path and Path(path),current_commit() if commit is None else commit
        rows = self.read()
        self.done = {tuple(o[k] for k in ('experiment', 'set', 'weights')) for o in rows}
    def read(self):
        "Rows of the file"
        if not self.path or not self.path.exists(): return []
        with self.path.open(newline='', encoding='utf-8') as f:
            table = csv.DictReader(f)
            if table.fieldnames!=COLUMNS:
                raise ValueError(f"{self.path} has other columns than {','.join(COLUMNS)}")
            return list(table)
    def add(self, figure):
        row = asdict(figure) | {k: number(getattr(figure, k)) for k in ('value', 'low', 'high')}
        interval = f" [{row['low']}, {row['high']}]" if row['low'] else ''
        print(f"{figure.experiment} | {figure.set} (n={figure.n}) | {figure.metric} "
              f"{row['value']}{interval}", flush=True)
        if not self.path: return
        new = not self.path.exists()
        with self.path.open('a', newline='', encoding='utf-8') as f:
            out = csv.DictWriter(f, COLUMNS, lineterminator='\n')
            if new: out.writeheader()
            out.writerow(row | dict(commit=self.commit))
