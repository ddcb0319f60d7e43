"Memory and computing time of processes and of the nodes of a cluster"
import os, re, threading
from pathlib import Path
import numpy as np
from .loopback import processes

def pss(pid):
    "Proportional set size of a process, MB: shared pages count once"
    text = Path(f'/proc/{pid}/smaps_rollup').read_text()
    return sum(map(int, re.findall(r'^Pss: *(\d+)', text, re.M)))/1024

def node_memory(mark):
    "MB of all processes of a node"
    total = 0.
    for pid,_ in processes(mark):
        try: total += pss(pid)
        except OSError: pass # it ended meanwhile
    return total

class Meter:
    "Core seconds spent by this process and by the processes of a node, also by those that ended"
    def __init__(self, mark=None):
        self.mark,self.seen,self.over = mark,{},threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
    def _watch(self):
        while not self.over.wait(0.2): self._read()
    def _read(self):
        if not self.mark: return
        for pid,_ in processes(self.mark):
            try:
                stat = (Path('/proc')/str(pid)/'stat').read_text()
            except OSError:
                continue
            ticks = sum(int(o) for o in stat.rpartition(')')[2].split()[11:13])
            self.seen[pid] = ticks/os.sysconf('SC_CLK_TCK')
    def total(self):
        self._read()
        return sum(os.times()[:2])+sum(self.seen.values())

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
            row[f'mb_quarter_{q+1}'] = float(mb[part].mean())
        late = (n>=most/2)&(n<most)
        slope = np.polyfit(n[late], mb[late], 1)[0]*1000
        return row | dict(mb_most=float(mb.max()), mb_more_per_1000_in_second_half=float(slope))
