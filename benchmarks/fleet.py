"""Colouring on Ray: its speed beside one process, its memory over thousands of photographs, and nodes that die.

    pip install -e '.[dev]'
    python benchmarks/fleet.py --json fleet.json      # about half an hour on two quiet cores
    python benchmarks/fleet.py --only kill            # 500 photographs in a bucket, two nodes, one is killed
"""
import argparse, json, os, shutil, statistics, sys, tempfile, threading, time
from collections import Counter
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent)); sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy as np, torch
import loopback
from shared import described, machine, photograph

def table(rows):
    keys = list(dict.fromkeys(k for o in rows for k in o))
    show = lambda v: '' if v is None else f'{v:.3g}' if isinstance(v, float) else str(v)
    return '\n'.join(['| '+' | '.join(keys)+' |', '|'+'---|'*len(keys), *['| '+' | '.join(show(o.get(k)) for k in keys)+' |' for o in rows]])+'\n'

def scans(folder, n, megapixels):
    "The same photograph under `n` names, of which the cache of the file system takes no notice"
    folder.mkdir(parents=True)
    first = photograph(folder/'00000.jpg', megapixels)
    for i in range(1, n): shutil.copy(first, folder/f'{i:05}.jpg')
    return folder

# Stages: what one photograph costs a core, and the network

def stages(tmp, args):
    "Core seconds of each stage of one photograph, in this process, medians; unlike seconds of the clock they hardly mind company"
    from colorized.inference.colorizer import Colorizer
    from colorized.fleet.stages import Network
    from colorized.fleet.run import _paint_one, _table, _unpack, look
    from colorized.fleet.sources import photographs
    torch.set_num_threads(1)
    own,rows = Colorizer.from_pretrained(device='cpu'),[]
    settings = own.look()
    from colorized import __version__
    for mp in args.megapixels:
        src,out = scans(tmp/f'stage{mp}', 1, mp),tmp/f'out{mp}'
        c = dict(version=__version__, storage=None, dest=str(out), source=None, multiple=own.net.cfg.multiple, device='cpu', threads=1, batch=8, n=1,
                 look=settings, provenance=own.provenance(settings), file=dict(format=None, bits=None, quality=95))
        network,took = Network(c),dict(look=[], network=[], colour=[])
        for i in range(args.repeats+1):
            shutil.rmtree(out, ignore_errors=True)
            (k,o), = photographs(src)[0].items()
            job = dict(name=k, row=dict(source_bytes=o['bytes'], output=f'{i}.jpg'), replace=False, lost=False)
            t = [time.process_time()]
            x = look(_table([job]), c); t.append(time.process_time())
            between = len(_unpack(x)[1][0])
            x = network(x); t.append(time.process_time())
            jobs,blobs = _unpack(x); between += len(blobs[0])
            if jobs[0]['row'].get('error'): raise RuntimeError(jobs[0]['row']['error'])
            with tempfile.TemporaryDirectory() as there: _paint_one(jobs[0], blobs[0], c, there)
            t.append(time.process_time())
            if i: [v.append(b-a) for v,a,b in zip(took.values(), t, t[1:])]
        rows.append(dict(megapixels=mp, **{f'{k}, core s': statistics.median(v) for k,v in took.items()}, **{'original MB':o['bytes']/1e6, 'output MB':(out/f'{args.repeats}.jpg').stat().st_size/1e6,
                    'between stages MB':between/1e6}))
    return rows

# Speed

class Meter:
    "Core seconds spent by this process and by the processes of a node, also those that have ended"
    def __init__(self, mark=None): self.mark,self.seen,self.over = mark,{},threading.Event(); threading.Thread(target=self.watch, daemon=True).start()
    def watch(self):
        while not self.over.wait(0.2): self.look()
    def look(self):
        for pid,_ in loopback.processes(self.mark) if self.mark else []:
            try: self.seen[pid] = sum(int(o) for o in (Path('/proc')/str(pid)/'stat').read_text().rpartition(')')[2].split()[11:13])/os.sysconf('SC_CLK_TCK')
            except OSError: continue
    def total(self): self.look(); return sum(os.times()[:2])+sum(self.seen.values())

def speed(tmp, args):
    "One process, and Ray with 1 and 2 actors. What a run of one photograph takes, the start, is taken off"
    from colorized.batch.folder import colorize_folder
    from colorized.inference.colorizer import Colorizer
    from colorized.fleet.run import colorize_dataset
    one,many,rows,own = scans(tmp/'one', 1, 1),scans(tmp/'many', args.photos, 1),[],Colorizer.from_pretrained(device='cpu')
    torch.set_num_threads(1)
    def timed(name, run, mark=None):
        t,meter = [],Meter(mark)
        for k,src in enumerate((one, many)):
            start,before = time.perf_counter(),meter.total()
            got = run(src, tmp/f'speed/{name}{k}'); t.append((time.perf_counter()-start, meter.total()-before))
            if got.failed or got.left: raise RuntimeError(f'{name}: {got}')
        meter.over.set()
        (first,c1),(all_,cn),n = *t,args.photos-1
        rows.append({'what':name, 'n':args.photos, 'start s':first, 'all s':all_, 'photographs/s':n/(all_-first), 's each':(all_-first)/n, 'core s each':(cn-c1)/n})
    timed('batch, one process', lambda src,out: colorize_folder(src, out, own, workers=0, progress=False))
    for actors in (1, 2):
        node = loopback.Node(cpus=max(2, os.cpu_count()))
        try: timed(f'Ray, {actors} actor{"s"*(actors>1)}', lambda src,out: colorize_dataset(src, out, actors=actors, address=node.address, progress=False), node.mark)
        finally: _leave(); node.kill()
    for o in rows[1:]: o['beyond one process, core ms each'] = 1000*(o['core s each']-rows[0]['core s each'])
    return rows

def _leave():
    import ray
    if ray.is_initialized(): ray.shutdown()

# Memory

def memory(tmp, args):
    "Memory of all processes of the cluster and of the driver, and what lies in Ray's object store, along a run"
    from colorized.fleet.run import colorize_dataset
    src,node,seen,done = loopback.snapshots(tmp/'memory', args.memory),loopback.Node(cpus=2),[],threading.Event()
    before = time.process_time()
    out = tmp/'memory-out'
    pss = lambda pid: sum(int(o.split()[1]) for o in (Path('/proc')/str(pid)/'smaps_rollup').read_text().splitlines() if o.startswith('Pss:'))/1e3
    def watch():
        while not done.wait(1):
            total = dict(driver=pss(os.getpid()), cluster=0.)
            for pid,title in loopback.processes(node.mark):
                try: total['cluster'] += pss(pid)
                except (OSError, ValueError): pass
            seen.append(dict(total, done=sum(1 for o in out.rglob('*.jpg')) if out.exists() else 0))
    watcher = threading.Thread(target=watch, daemon=True); watcher.start()
    try: got = colorize_dataset(src, out, actors=1, address=node.address, working_size=args.working_size, progress=False)
    finally: done.set(); watcher.join(); spent = time.process_time()-before; _leave(); node.kill()
    if got.failed or got.left: raise RuntimeError(str(got))
    rows,n = [],np.array([o['done'] for o in seen])
    for k in ('driver', 'cluster'):
        mb,late = np.array([o[k] for o in seen]),(n>=args.memory/2)&(n<args.memory)
        rows.append({'what':k, 'n':args.memory, 'seconds':got.seconds, **{f'MB, quarter {q+1}':float(mb[(n>args.memory*q/4)&(n<=args.memory*(q+1)/4)&(n<args.memory)].mean()) for q in range(4)},
                     'MB at most':float(mb.max()), 'MB more per 1,000, second half':float(np.polyfit(n[late], mb[late], 1)[0]*1000)})
    rows[0]['core ms each'] = 1000*spent/args.memory # what the leading process itself does, the watching included
    return rows

# A node is killed

def kill(tmp, args):
    "A bucket, two nodes; one is killed after a fifth, another joins. Then everything is held against everything"
    from colorized.fleet.run import colorize_dataset
    from colorized.fleet.audit import audit
    from colorized.fleet.record import read_record
    n = args.kill
    bucket = loopback.Bucket()
    bucket.fs.put(f"{loopback.snapshots(tmp/'kill', n)}/", f"{bucket.url}/scans/", recursive=True)
    head = loopback.Node(); nodes = [head, loopback.Node(head)]
    events,start,before = [],time.time(),len(bucket.log)
    say = lambda what: (events.append((round(time.time()-start), what)), print(f"{events[-1][0]} s: {what}", file=sys.stderr, flush=True))
    def murder():
        while len(bucket.written('/colour/')) < n/5: time.sleep(0.05)
        busy = len(nodes[1].workers())
        nodes[1].kill(); say(f"node killed with its {busy} workers, {len(bucket.written('/colour/'))} objects were there")
        nodes.append(loopback.Node(head)); say("another node has joined")
    killer = threading.Thread(target=murder, daemon=True); killer.start()
    try: got = colorize_dataset(f'{bucket.url}/scans', f'{bucket.url}/colour', actors=2, address=head.address, storage=bucket.storage, working_size=args.working_size, every=5)
    finally: _leave(); killer.join(5); [o.kill() for o in reversed(nodes)]
    say(str(got))
    asked = Counter(method for method,path,status in bucket.log[before:])
    found = audit(f'{bucket.url}/colour', bucket.storage, deep=True)
    record = read_record(f'{bucket.url}/colour', bucket.storage).to_pylist()
    written = bucket.written('/colour/box')
    bucket.close()
    return [{'photographs':n, 'seconds':got.seconds, 'done':len(found['done']), 'failed':len(found['failed']), 'lost':len(found['lost']), 'changed':len(found['changed']), 'made twice':len(found['twice']),
             'not in the record':len(found['unknown']), 'rows of the record':len(record), 'different photographs in it':len({o['path'] for o in record}),
             'found there by a repeated task':sum(o['how']=='same' for o in record), 'writes of one object at most':max(written.values()), 'objects written':len(written),
             **{f'{k} requests each':asked[k]/n for k in ('GET', 'HEAD', 'PUT')}, 'nodes that worked':len({o['worker'].split('/')[0] for o in record if o['worker']}), 'events':'; '.join(f'{t} s: {what}' for t,what in events)}]

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', choices=['stages', 'speed', 'memory', 'kill'], default=['stages', 'speed', 'memory', 'kill'])
    parser.add_argument('--photos', type=int, default=100, help='of 1 megapixel, for speed')
    parser.add_argument('--memory', type=int, default=2000, help='small photographs, for memory')
    parser.add_argument('--kill', type=int, default=500, help='small photographs in the bucket')
    parser.add_argument('--working-size', type=int, default=256, help='of the network, for memory and kill')
    parser.add_argument('--megapixels', type=float, nargs='+', default=[1, 6, 24], help='for stages')
    parser.add_argument('--repeats', type=int, default=5, help='of each stage')
    parser.add_argument('--json', type=Path)
    args = parser.parse_args()
    about = machine()
    os.environ.update(RAY_AUTH_MODE='disabled', OMP_NUM_THREADS='1')
    out = dict(machine=about)
    print(described(about)+'\n', flush=True)
    with tempfile.TemporaryDirectory() as tmp:
        for k in args.only:
            out[k] = globals()[k](Path(tmp), args)
            print(f'**{k}**\n\n{table(out[k])}', flush=True)
            if args.json: args.json.write_text(json.dumps(out, indent=1)+'\n')

if __name__=='__main__': main()
