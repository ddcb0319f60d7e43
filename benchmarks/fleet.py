"""Coloring on Ray: its speed beside one process, its memory, and nodes that die

    python benchmarks/run.py fleet --csv FILE         # half an hour on two quiet cores
    python benchmarks/run.py fleet --only kill        # 500 photographs, a node dies

One machine stands in for many: Ray nodes that are processes of their own, and moto's S3 server as
the store (`support/loopback.py`).

| part | what is measured |
|---|---|
| `stages` | core seconds of *look*, *network* and *color* for one JPEG; bytes between them |
| `speed` | photographs/s and core seconds each: one process, and Ray with 1 and 2 actors |
| `memory` | proportional set size of the leading process and of all, along 2,000 photographs |
| `kill` | two nodes, one killed after a fifth, another joins: what was lost or made twice |"""
import os, shutil, statistics, sys, tempfile, threading, time
from collections import Counter
import numpy as np, torch
from benchmarks.support import loopback
from benchmarks.support.machine import on_this_machine
from benchmarks.support.results import Figure
from benchmarks.support.samples import enlarged, snapshots
from benchmarks.support.usage import MemoryLog, Meter

def scans(folder, n, megapixels):
    "The same photograph under `n` names, of which the cache of the file system takes no notice"
    folder.mkdir(parents=True)
    first = enlarged(folder/'00000.jpg', megapixels)
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
    own = Colorizer.from_pretrained(device='cpu')
    for mp in args.megapixels:
        src,out = scans(tmp/f'stage{mp}', 1, mp),tmp/f'out{mp}'
        c = stage_settings(own, out)
        network,took = Network(c),[]
        for i in range(args.repeats+1):
            shutil.rmtree(out, ignore_errors=True)
            spent,before,between = time_stages(src, c, network, f'{i}.jpg')
            if i: took.append(spent)
        row = {f'{k}_cpu_seconds': statistics.median(v)
               for k,v in zip(('look', 'network', 'color'), zip(*took))}
        after = (out/f'{args.repeats}.jpg').stat().st_size
        row |= dict(original_mb=before/1e6, output_mb=after/1e6, between_stages_mb=between/1e6)
        yield f'{mp:g} megapixels',args.repeats,row

# Speed

def time_run(name, run, sources, tmp, mark=None):
    "(name, photographs, figures): what the first source takes, the start, is taken off the second"
    t,meter = [],Meter(mark)
    for k,(src,_) in enumerate(sources):
        start,before = time.perf_counter(),meter.total()
        got = run(src, tmp/f'speed/{name}{k}')
        t.append((time.perf_counter()-start, meter.total()-before))
        if got.failed or got.left: raise RuntimeError(f'{name}: {got}')
    meter.over.set()
    (first,c1),(all_,cn) = t
    n = sources[1][1]-sources[0][1]
    return name,sources[1][1],dict(
        start_seconds=first, seconds=all_, photographs_per_second=n/(all_-first),
        cpu_seconds_each=(cn-c1)/n)

def speed(tmp, args):
    "One process, and Ray with 1 and 2 actors. What a run of one photograph takes is taken off"
    from colorized.batch.folder import colorize_folder
    from colorized.fleet.run import colorize_dataset
    from colorized.inference.colorizer import Colorizer
    sources = [(scans(tmp/'one', 1, 1), 1), (scans(tmp/'many', args.photos, 1), args.photos)]
    own = Colorizer.from_pretrained(device='cpu')
    torch.set_num_threads(1)
    def alone(src, out): return colorize_folder(src, out, own, workers=0, progress=False)
    yield time_run('batch, one process', alone, sources, tmp)
    for actors in args.actors:
        node = loopback.Node(cpus=max(2, os.cpu_count()))
        def on_ray(src, out):
            return colorize_dataset(src, out, actors=actors, address=node.address, progress=False)
        name = f'Ray, {actors} actor{"s"*(actors>1)}'
        try:
            yield time_run(name, on_ray, sources, tmp, node.mark)
        finally:
            _leave()
            node.kill()

def _leave():
    import ray
    if ray.is_initialized(): ray.shutdown()

# Memory

def memory(tmp, args):
    "Memory of all processes of the cluster and of the driver along a run"
    from colorized.fleet.run import colorize_dataset
    src,node = snapshots(tmp/'memory', args.memory),loopback.Node(cpus=2)
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
    for k in 'driver', 'cluster': yield k,args.memory,log.summary(k, args.memory)
    # what the leading process itself does, the watching included
    yield 'driver',args.memory,dict(seconds=got.seconds, cpu_ms_each=1000*spent/args.memory)

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
    bucket.fs.put(f"{snapshots(tmp/'kill', n)}/", f"{source}/", recursive=True)
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
    row = dict(seconds=got.seconds, **audited(bucket, dest, before, n))
    bucket.close()
    yield 'a node of two is killed',n,row

def audited(bucket, dest, before, n):
    "What record, outputs and the server's log since line `before` say"
    from colorized.fleet.audit import audit
    from colorized.fleet.record import read_record
    asked = Counter(method for method,_,_ in bucket.log[before:])
    found = audit(dest, bucket.storage, deep=True)
    record = read_record(dest, bucket.storage).to_pylist()
    written = bucket.written('/color/box')
    names = dict(done='done', failed='failed', lost='lost', changed='changed', made_twice='twice',
                 not_in_the_record='unknown')
    row = {k: len(found[v]) for k,v in names.items()}
    workers = {o['worker'].split('/')[0] for o in record if o['worker']}
    return row | dict(
        rows_of_the_record=len(record), photographs_in_it=len({o['path'] for o in record}),
        found_by_a_repeated_task=sum(o['how']=='same' for o in record),
        most_writes_of_one_object=max(written.values()), objects_written=len(written),
        nodes_that_worked=len(workers),
        **{f'{k.lower()}_requests_each': asked[k]/n for k in ('GET', 'HEAD', 'PUT')})

PARTS = dict(stages=stages, speed=speed, memory=memory, kill=kill)

def add_options(p):
    p.add_argument('--only', nargs='+', choices=PARTS)
    p.add_argument('--photos', type=int, default=100, help='of 1 megapixel, for speed')
    p.add_argument('--actors', type=int, nargs='+', default=[1, 2], help='of Ray, for speed')
    p.add_argument('--memory', type=int, default=2000, help='small photographs, for memory')
    p.add_argument('--kill', type=int, default=500, help='small photographs in the bucket')
    p.add_argument('--working-size', type=int, default=256,
                   help='of the network, for memory and kill')
    p.add_argument('--megapixels', type=float, nargs='+', default=[1, 6, 24], help='for stages')
    p.add_argument('--repeats', type=int, default=5, help='of each stage')

def measure(args):
    if args.quick:
        args.repeats,args.megapixels,args.photos,args.kill,args.memory = 1,[1],3,20,40
        args.only,args.actors = args.only or ['stages', 'speed'],[1]
    os.environ.update(RAY_AUTH_MODE='disabled', OMP_NUM_THREADS='1')
    for part in args.only or PARTS:
        for what,n,row in PARTS[part](args.tmp, args):
            for k,v in row.items():
                yield Figure(f'fleet {part}: {what}', on_this_machine('photographs'), n, k, v)
