"""Coloring on Ray: its speed beside one process, its memory over thousands of photographs, and
nodes that die.

    pip install -e '.[dev]'
    python benchmarks/fleet.py --json fleet.json   # about half an hour on two quiet cores
    python benchmarks/fleet.py --only kill         # 500 photographs in a bucket, a node is killed
"""
import argparse, json, os, shutil, statistics, sys, tempfile, threading, time
from collections import Counter
from pathlib import Path
import numpy as np, torch
import loopback
from shared import described, machine, photograph

def table(rows):
    keys = list(dict.fromkeys(k for o in rows for k in o))
    show = lambda v: '' if v is None else f'{v:.3g}' if isinstance(v, float) else str(v)
    line = lambda cells: '| '+' | '.join(cells)+' |'
    body = [line([show(o.get(k)) for k in keys]) for o in rows]
    return '\n'.join([line(keys), '|'+'---|'*len(keys), *body])+'\n'

def scans(folder, n, megapixels):
    "The same photograph under `n` names, of which the cache of the file system takes no notice"
    folder.mkdir(parents=True)
    first = photograph(folder/'00000.jpg', megapixels)
    for i in range(1, n): shutil.copy(first, folder/f'{i:05}.jpg')
    return folder

# Stages: what one photograph costs a core, and the network

def stage_settings(own, out):
    "Those of a run with the defaults that writes to the folder `out`"
    from colorized.batch.options import BatchOptions
    from colorized.fleet.stages import StageSettings
    options = BatchOptions()
    settings = options.sampling(own)
    return StageSettings(options, settings, own.grid(settings['working_size']),
                         own.provenance(settings), dest=str(out))

def time_stages(src, c, network, name):
    "Core seconds of the three stages of one photograph, and the bytes between them"
    from colorized.fleet.sources import photographs
    from colorized.fleet.stages import from_table, load_stage, to_table, write_one
    (k,o), = photographs(src)[0].items()
    job = dict(name=k, row=dict(source_bytes=o['bytes'], output=name), replace=False, lost=False)
    t = [time.process_time()]
    x = load_stage(to_table([job]), c)
    t.append(time.process_time())
    between = len(from_table(x)[1][0])
    x = network(x)
    t.append(time.process_time())
    jobs,blobs = from_table(x)
    between += len(blobs[0])
    if jobs[0]['row'].get('error'): raise RuntimeError(jobs[0]['row']['error'])
    with tempfile.TemporaryDirectory() as there: write_one(jobs[0], blobs[0], c, there)
    t.append(time.process_time())
    return np.diff(t).tolist(),o['bytes'],between

def stages(tmp, args):
    """Core seconds of each stage of one photograph, in this process, medians

    Unlike seconds of the clock they hardly mind company."""
    from colorized.fleet.stages import Network
    from colorized.inference.colorizer import Colorizer
    torch.set_num_threads(1)
    own,rows = Colorizer.from_pretrained(device='cpu'),[]
    for mp in args.megapixels:
        src,out = scans(tmp/f'stage{mp}', 1, mp),tmp/f'out{mp}'
        c = stage_settings(own, out)
        network,took = Network(c),[]
        for i in range(args.repeats+1):
            shutil.rmtree(out, ignore_errors=True)
            spent,before,between = time_stages(src, c, network, f'{i}.jpg')
            if i: took.append(spent)
        row = dict(megapixels=mp)
        for k,v in zip(('look', 'network', 'color'), zip(*took)):
            row[f'{k}, core s'] = statistics.median(v)
        after = (out/f'{args.repeats}.jpg').stat().st_size
        row |= {'original MB': before/1e6, 'output MB': after/1e6,
                'between stages MB': between/1e6}
        rows.append(row)
    return rows

# Speed

class Meter:
    "Core seconds spent by this process and by the processes of a node, also by those that ended"
    def __init__(self, mark=None):
        self.mark,self.seen,self.over = mark,{},threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
    def _watch(self):
        while not self.over.wait(0.2): self._read()
    def _read(self):
        if not self.mark: return
        for pid,_ in loopback.processes(self.mark):
            try:
                stat = (Path('/proc')/str(pid)/'stat').read_text()
            except OSError:
                continue
            ticks = sum(int(o) for o in stat.rpartition(')')[2].split()[11:13])
            self.seen[pid] = ticks/os.sysconf('SC_CLK_TCK')
    def total(self):
        self._read()
        return sum(os.times()[:2])+sum(self.seen.values())

def time_run(name, run, sources, tmp, mark=None):
    "A line of the table: what the first source takes, the start, is taken off the second"
    t,meter = [],Meter(mark)
    for k,(src,_) in enumerate(sources):
        start,before = time.perf_counter(),meter.total()
        got = run(src, tmp/f'speed/{name}{k}')
        t.append((time.perf_counter()-start, meter.total()-before))
        if got.failed or got.left: raise RuntimeError(f'{name}: {got}')
    meter.over.set()
    (first,c1),(all_,cn) = t
    n = sources[1][1]-sources[0][1]
    return {'what': name, 'n': sources[1][1], 'start s': first, 'all s': all_,
            'photographs/s': n/(all_-first), 's each': (all_-first)/n, 'core s each': (cn-c1)/n}

def speed(tmp, args):
    "One process, and Ray with 1 and 2 actors. What a run of one photograph takes is taken off"
    from colorized.batch.folder import colorize_folder
    from colorized.fleet.run import colorize_dataset
    from colorized.inference.colorizer import Colorizer
    sources = [(scans(tmp/'one', 1, 1), 1), (scans(tmp/'many', args.photos, 1), args.photos)]
    own = Colorizer.from_pretrained(device='cpu')
    torch.set_num_threads(1)
    def alone(src, out): return colorize_folder(src, out, own, workers=0, progress=False)
    rows = [time_run('batch, one process', alone, sources, tmp)]
    for actors in (1, 2):
        node = loopback.Node(cpus=max(2, os.cpu_count()))
        def on_ray(src, out):
            return colorize_dataset(src, out, actors=actors, address=node.address, progress=False)
        name = f'Ray, {actors} actor{"s"*(actors>1)}'
        try:
            rows.append(time_run(name, on_ray, sources, tmp, node.mark))
        finally:
            _leave()
            node.kill()
    for o in rows[1:]:
        beyond = o['core s each']-rows[0]['core s each']
        o['beyond one process, core ms each'] = 1000*beyond
    return rows

def _leave():
    import ray
    if ray.is_initialized(): ray.shutdown()

# Memory

def pss(pid):
    "Proportional set size of a process, MB"
    lines = (Path('/proc')/str(pid)/'smaps_rollup').read_text().splitlines()
    return sum(int(o.split()[1]) for o in lines if o.startswith('Pss:'))/1e3

def node_memory(mark):
    "MB of all processes of a node"
    total = 0.
    for pid,_ in loopback.processes(mark):
        try:
            total += pss(pid)
        except (OSError, ValueError): # it ended meanwhile
            pass
    return total

class MemoryLog:
    "Memory of this process and of a node, and the outputs that are there, once a second"
    def __init__(self, node, out):
        self.node,self.out,self.rows = node,out,[]
        self.over,self.thread = threading.Event(),threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
    def _watch(self):
        while not self.over.wait(1):
            done = sum(1 for o in self.out.rglob('*.jpg')) if self.out.exists() else 0
            self.rows.append(dict(driver=pss(os.getpid()), cluster=node_memory(self.node.mark),
                                  done=done))
    def close(self):
        self.over.set()
        self.thread.join()
    def summary(self, name, most):
        "Means of each quarter of the run, and the slope of its second half"
        n,mb = [np.array([o[k] for o in self.rows]) for k in ('done', name)]
        row = {}
        for q in range(4):
            part = (n>most*q/4)&(n<=most*(q+1)/4)&(n<most)
            row[f'MB, quarter {q+1}'] = float(mb[part].mean())
        late = (n>=most/2)&(n<most)
        slope = np.polyfit(n[late], mb[late], 1)[0]*1000
        return row | {'MB at most': float(mb.max()),
                      'MB more per 1,000, second half': float(slope)}

def memory(tmp, args):
    "Memory of all processes of the cluster and of the driver along a run"
    from colorized.fleet.run import colorize_dataset
    src,node = loopback.snapshots(tmp/'memory', args.memory),loopback.Node(cpus=2)
    before,out = time.process_time(),tmp/'memory-out'
    log = MemoryLog(node, out)
    try:
        got = colorize_dataset(src, out, actors=1, address=node.address,
                               working_size=args.working_size, progress=False)
    finally:
        log.close()
        spent = time.process_time()-before
        _leave()
        node.kill()
    if got.failed or got.left: raise RuntimeError(str(got))
    rows = [{'what': k, 'n': args.memory, 'seconds': got.seconds, **log.summary(k, args.memory)}
            for k in ('driver', 'cluster')]
    # what the leading process itself does, the watching included
    rows[0]['core ms each'] = 1000*spent/args.memory
    return rows

# A node is killed

class Diary:
    "What happened when"
    def __init__(self): self.start,self.events = time.time(),[]
    def __call__(self, what):
        t = round(time.time()-self.start)
        self.events.append(f'{t} s: {what}')
        print(self.events[-1], file=sys.stderr, flush=True)

def kill_one(bucket, nodes, n, say):
    "Kill the second node when `n` objects are written, and let another one join"
    while len(bucket.written('/color/')) < n: time.sleep(0.05)
    busy = len(nodes[1].workers())
    nodes[1].kill()
    there = len(bucket.written('/color/'))
    say(f"node killed with its {busy} workers, {there} objects were there")
    nodes.append(loopback.Node(nodes[0]))
    say("another node has joined")

def kill(tmp, args):
    """A bucket, two nodes; one is killed after a fifth, another joins

    Then everything is held against everything."""
    from colorized.fleet.run import colorize_dataset
    n,bucket = args.kill,loopback.Bucket()
    source,dest = f'{bucket.url}/scans',f'{bucket.url}/color'
    bucket.fs.put(f"{loopback.snapshots(tmp/'kill', n)}/", f"{source}/", recursive=True)
    head = loopback.Node()
    nodes = [head, loopback.Node(head)]
    before,say = len(bucket.log),Diary()
    killer = threading.Thread(target=kill_one, args=(bucket, nodes, n/5, say), daemon=True)
    killer.start()
    try:
        got = colorize_dataset(source, dest, actors=2, address=head.address,
                               storage=bucket.storage, working_size=args.working_size, every=5)
    finally:
        _leave()
        killer.join(5)
        for o in reversed(nodes): o.kill()
    say(str(got))
    row = {'photographs': n, 'seconds': got.seconds, **audited(bucket, dest, before, n)}
    bucket.close()
    return [row | {'events': '; '.join(say.events)}]

def audited(bucket, dest, before, n):
    "What record, outputs and the server's log since line `before` say"
    from colorized.fleet.audit import audit
    from colorized.fleet.record import read_record
    asked = Counter(method for method,_,_ in bucket.log[before:])
    found = audit(dest, bucket.storage, deep=True)
    record = read_record(dest, bucket.storage).to_pylist()
    written = bucket.written('/color/box')
    row = {'done': 'done', 'failed': 'failed', 'lost': 'lost', 'changed': 'changed',
           'made twice': 'twice', 'not in the record': 'unknown'}
    row = {k: len(found[v]) for k,v in row.items()}
    row |= {'rows of the record': len(record),
            'different photographs in it': len({o['path'] for o in record}),
            'found there by a repeated task': sum(o['how']=='same' for o in record),
            'writes of one object at most': max(written.values()),
            'objects written': len(written)}
    row |= {f'{k} requests each': asked[k]/n for k in ('GET', 'HEAD', 'PUT')}
    workers = {o['worker'].split('/')[0] for o in record if o['worker']}
    return row | {'nodes that worked': len(workers)}

PARTS = dict(stages=stages, speed=speed, memory=memory, kill=kill)

def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('--only', nargs='+', choices=PARTS, default=list(PARTS))
    p.add_argument('--photos', type=int, default=100, help='of 1 megapixel, for speed')
    p.add_argument('--memory', type=int, default=2000, help='small photographs, for memory')
    p.add_argument('--kill', type=int, default=500, help='small photographs in the bucket')
    p.add_argument('--working-size', type=int, default=256,
                   help='of the network, for memory and kill')
    p.add_argument('--megapixels', type=float, nargs='+', default=[1, 6, 24], help='for stages')
    p.add_argument('--repeats', type=int, default=5, help='of each stage')
    p.add_argument('--json', type=Path)
    return p.parse_args()

def main():
    args,about = parse_args(),machine()
    os.environ.update(RAY_AUTH_MODE='disabled', OMP_NUM_THREADS='1')
    out = dict(machine=about)
    print(described(about)+'\n', flush=True)
    with tempfile.TemporaryDirectory() as tmp:
        for k in args.only:
            out[k] = PARTS[k](Path(tmp), args)
            print(f'**{k}**\n\n{table(out[k])}', flush=True)
            if args.json: args.json.write_text(json.dumps(out, indent=1)+'\n')

if __name__=='__main__': main()
