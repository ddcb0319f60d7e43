"""Would the tests of a part notice if its code were wrong? Mutation testing with cosmic-ray.

    uv pip install -e '.[dev,mutation]'
    python tools/mutants.py PART [--sample 100] [--seed 0] [--module NAME]
                            [--session FILE.sqlite [--again]]

Works in a copy of the tree: each mutant is one small change in a module of PART (`>` becomes `>=`,
a number one more, a loop runs never), against which the tests of that part run until one fails,
those of the module itself first.
Mutants inside annotations are left out, since Python itself refuses most of them. Prints the share
of mutants that were noticed, with its 95 % interval (Wilson), and the diff of each that was not.

All mutants of a part take a night or more. `--sample` tries so many, drawn at random: an estimate.
A run that was stopped goes on with the same `--session`; `--again` tries those that survived once
more, with the tests as they are by now.
"""
import argparse
import ast
import importlib
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from multiprocessing import get_context
from pathlib import Path
from socketserver import ForkingMixIn, StreamRequestHandler, UnixStreamServer
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkerOutcome, WorkResult

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """[cosmic-ray]
module-path = {modules}
timeout = {timeout}
excluded-modules = []
test-command = "{python} -S -E {client}"
[cosmic-ray.distributor]
name = "local"
"""

CLIENT = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({socket!r})
sys.exit(int(s.makefile().read() or 2))
"""

def copy_tree(folder):
    "What git tracks, so that no mutant ever touches the work tree"
    files = subprocess.run(['git', '-C', ROOT, 'ls-files', '-z'], check=True, capture_output=True)
    for name in files.stdout.decode().split('\0')[:-1]:
        if (source := ROOT/name).is_file():
            (folder/name).parent.mkdir(parents=True, exist_ok=True)
            (folder/name).write_bytes(source.read_bytes())

def annotations(file):
    "The (first, last) positions of the annotations in a module, each a (line, column)"
    for node in ast.walk(ast.parse(file.read_text('utf-8'))):
        for name in ('annotation', 'returns'):
            if (o := getattr(node, name, None)) is not None:
                yield (o.lineno, o.col_offset),(o.end_lineno, o.end_col_offset)

def in_annotation(item, folder):
    "Does the mutant change nothing but an annotation?"
    change, = item.mutations
    inside = annotations(folder/change.module_path)
    return any(start<=change.start_pos and change.end_pos<=end for start,end in inside)

def wilson(k, n, z=1.96):
    "95 % interval of a share of `k` in `n`"
    middle,half = k/n+z*z/(2*n),z*math.sqrt(k*(n-k)/n**3+z*z/(4*n*n))
    return (middle-half)/(1+z*z/n),(middle+half)/(1+z*z/n)

def prepare(db, folder, sample, seed):
    "Marks the mutants that are not to be tried"
    items = sorted(db.work_items, key=lambda o: o.job_id)
    tried = [o for o in items if not in_annotation(o, folder)]
    if sample and sample<len(tried):
        order = lambda o: [(str(m.module_path), m.operator_name, m.occurrence) for m in o.mutations]
        tried = random.Random(seed).sample(sorted(tried, key=order), sample)
    kept = {o.job_id for o in tried}
    skipped = [o.job_id for o in items if o.job_id not in kept]
    db.set_multiple_results(skipped, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
    print(f'{len(kept)} mutants to try, {len(skipped)} left out', flush=True)

def forget_survivors(session):
    "They are tried again"
    with closing(sqlite3.connect(session)) as db, db:
        db.execute("DELETE FROM work_results WHERE test_outcome='SURVIVED'")

def report(db):
    "Prints what survived, and the share that was killed"
    results = [o for _,o in db.results if o.worker_outcome!=WorkerOutcome.SKIPPED]
    if not results: sys.exit('no mutant was tried')
    survivors = [o.diff for o in results if not o.is_killed]
    print('\n\n'.join(survivors))
    n,k = len(results),len(results)-len(survivors)
    low,high = wilson(k, n)
    print(f'\n{k} of {n} mutants noticed: {k/n:.0%} (95 % interval {low:.0%} to {high:.0%})')

def run_tests(part):
    "Runs the tests of a part, first those of the module that was changed last; their exit status"
    import pytest
    changed = max(Path('colorized', part).glob('*.py'), key=lambda o: o.stat().st_mtime_ns).stem
    tests = Path('tests', part)
    own = sorted(map(str, tests.glob(f'test_*{changed}*.py')))
    options = ['-x', '-q', '-p', 'no:cacheprovider', '-m', 'not slow']
    if own and (status := pytest.main([*options, *own])): return status
    return pytest.main([*options, *(f'--ignore={o}' for o in own), str(tests)])

def in_child(function, *args):
    "What `function` returns in a copy of this process"
    with ProcessPoolExecutor(1, get_context('fork')) as pool:
        return pool.submit(function, *args).result()

def modules_of_tests(part):
    "Names of the modules from outside of the tree that the tests of a part import"
    import pytest
    pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider', f'tests/{part}'])
    outside = lambda o: not (getattr(o, '__file__', None) or '').startswith(os.getcwd())
    return [k for k,o in list(sys.modules.items()) if outside(o)]

class TestServer(ForkingMixIn, UnixStreamServer):
    "Runs the tests in copies of a process that has imported torch and its like already"

def serve(part, socket, timeout):
    sys.stdout = open(os.devnull, 'w')
    for name in in_child(modules_of_tests, part):
        with suppress(Exception): importlib.import_module(name)
    class Handler(StreamRequestHandler):
        def handle(self):
            signal.alarm(int(timeout))
            self.wfile.write(b'%d' % run_tests(part))
    with TestServer(str(socket), Handler) as server: server.serve_forever()

def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('part', choices=sorted(o.name for o in (ROOT/'tests').iterdir()
                                               if (ROOT/'colorized'/o.name).is_dir()))
    parser.add_argument('--module', default='', help='only this module of the part')
    parser.add_argument('--sample', type=int, help='try so many, drawn at random')
    parser.add_argument('--seed', type=int, default=0, help='of the draw')
    parser.add_argument('--timeout', type=float, default=600., help='seconds for the tests')
    parser.add_argument('--session', type=Path, help='where the results stay, to go on later')
    parser.add_argument('--again', action='store_true', help='try its survivors once more')
    parser.add_argument('--serve', metavar='SOCKET', help=argparse.SUPPRESS) # see `TestServer`
    args = parser.parse_args()
    if args.again: forget_survivors(args.session)
    if args.serve: return serve(args.part, args.serve, args.timeout)
    with tempfile.TemporaryDirectory() as tmp:
        tree,tmp = Path(tmp)/'tree',Path(tmp)
        copy_tree(tree)
        config,session = tmp/'config.toml',(args.session or tmp/'session.sqlite').resolve()
        modules = f'colorized/{args.part}' + (f'/{args.module}.py' if args.module else '')
        socket,client = tmp/'socket',tmp/'client.py'
        client.write_text(CLIENT.format(socket=str(socket)))
        config.write_text(CONFIG.format(modules=f'["{modules}"]', timeout=args.timeout,
                                        python=sys.executable, client=client))
        env = dict(os.environ, PYTHONPATH=str(tree), PYTHONDONTWRITEBYTECODE='1')
        run = lambda *o: subprocess.run(['cosmic-ray', *map(str, o)], cwd=tree, env=env, check=True)
        server = [sys.executable, Path(__file__).resolve(), args.part, '--serve', socket,
                  '--timeout', str(args.timeout)]
        with subprocess.Popen(server, cwd=tree, env=env) as server:
            while not socket.exists() and server.poll() is None: time.sleep(0.1)
            try:
                if not session.exists():
                    run('baseline', config) # the tests must pass before anything is changed
                    run('init', config, session)
                    with use_db(session, WorkDB.Mode.open) as db:
                        prepare(db, tree, args.sample, args.seed)
                run('exec', config, session)
            finally: server.kill()
        with use_db(session, WorkDB.Mode.open) as db: report(db)

if __name__=='__main__': main()
