"""Runs one of the benchmarks: `python benchmarks/run.py NAME [--quick] [--csv FILE] …`

    python benchmarks/run.py --list         # all names, with a line for each
    python benchmarks/run.py NAME --help    # its options
    python benchmarks/run.py --all --quick  # each on small inputs: a smoke test

Results are printed, and appended to FILE as rows of one schema (README.md). Exit status: 0, 1 where
something that was tried has failed, 2 for wrong use and where something is missing."""
import argparse, ast, importlib, subprocess, sys, tempfile, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
if __name__=='__main__': # in place of this folder, whose names are too plain to be imported
    sys.path[0] = str(HERE.parent)

def scripts():
    "Name -> what it measures, the first line of its docstring"
    def line(path): return ast.get_docstring(ast.parse(path.read_text('utf-8'))).split('\n')[0]
    found = sorted(o for o in HERE.glob('*.py') if o.stem not in ('run', '__init__'))
    return {o.stem: line(o) for o in found}

def measured(figures, results, about):
    "Keep all figures; the exit status that the benchmark returns"
    while True:
        try: figure = next(figures)
        except StopIteration as e: return e.value or 0
        if about: print(about, file=sys.stderr)
        about = results.add(figure)

def run(name, argv):
    from benchmarks.support.machine import described, machine
    from benchmarks.support.results import Results
    module = importlib.import_module(f'benchmarks.{name}')
    p = argparse.ArgumentParser(prog=f'run.py {name}', description=module.__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true',
                   help='small inputs, within a minute: it works, but its figures mean little')
    p.add_argument('--csv', type=Path, help='file to which the results are appended')
    module.add_options(p)
    args = p.parse_args(argv)
    try: results = Results(args.csv)
    except ValueError as e: p.error(str(e))
    args.done = results.done
    about = described(machine()) + '; quick: the figures mean little'*args.quick
    with tempfile.TemporaryDirectory() as tmp:
        args.tmp = Path(tmp)
        return measured(module.measure(args), results, about)

def run_all(names):
    "Each in a process of its own; the highest exit status but for what is missing"
    worst = 0
    for name in names:
        start = time.monotonic()
        done = subprocess.run([sys.executable, __file__, name, '--quick'])
        said = {0: 'done', 2: 'left out'}.get(done.returncode, 'FAILED')
        print(f'== {name}: {said} after {time.monotonic()-start:.0f} s\n', flush=True)
        worst = max(worst, done.returncode%256 if said=='FAILED' else 0)
    return worst

def main(argv):
    known = scripts()
    if argv==['--list']:
        width = max(map(len, known))
        print('\n'.join(f'{k:{width}}  {v}' for k,v in known.items()))
        return 0
    if sorted(argv)==['--all', '--quick']: return run_all(known)
    if not argv or argv[0] in ('-h', '--help'):
        print(__doc__)
        return 0 if argv else 2
    name,*rest = argv
    if name not in known:
        print(f"run.py: there is no benchmark {name!r}; known are {', '.join(known)}",
              file=sys.stderr)
        return 2
    from benchmarks.support.results import Missing
    try: return run(name, rest)
    except Missing as e: lacks = str(e)
    except ModuleNotFoundError as e:
        if e.name.split('.')[0] in ('benchmarks', 'colorized'): raise
        lacks = f"needs the Python package {e.name}: pip install -e '.[bench,dev]'"
    print(f'run.py {name}: {lacks}', file=sys.stderr)
    return 2

if __name__=='__main__': sys.exit(main(sys.argv[1:]))
