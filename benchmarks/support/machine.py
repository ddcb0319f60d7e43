"What timings depend on, and how they are taken"
import os, platform, re, statistics, time
from pathlib import Path
import torch

now = time.perf_counter

def machine():
    "What the figures depend on"
    info = Path('/proc/cpuinfo')
    cpu = re.search(r'model name\s*: (.+)', info.read_text()) if info.exists() else None
    return dict(cpu=cpu[1] if cpu else platform.processor(), cores=os.cpu_count(),
                load=round(os.getloadavg()[0], 2), torch=torch.__version__,
                python=platform.python_version(), date=time.strftime('%Y-%m-%d', time.gmtime()))

def described(about):
    "The same as a line"
    line = ("{cpu}, {cores} cores (load {load} at the start), torch {torch}, Python {python}, "
            "{date}")
    return line.format(**about)

def on_this_machine(what, threads=None):
    "The name of a set of timings: what was done, and where"
    about = machine()
    kind = re.sub(r'\(R\)|\(TM\)|(?: CPU)?(?: @.*| Processor)$', '', about['cpu'])
    share = f"{threads} thread{'s'*(threads>1)} of " if threads else ''
    return f"{what}, {share}{kind}, {about['cores']} cores"

def seconds(f, repeats):
    "Seconds of each of `repeats` calls, after one that does not count"
    f()
    out = []
    for _ in range(repeats):
        start = now()
        f()
        out.append(now()-start)
    return out

def median(times): return statistics.median(times)
