"Work in a child process, with limits of time and memory"
import json, os, re, resource, signal
from pathlib import Path

SECONDS, GIGABYTES = 60, 4. # of a core and of memory

def limited(work, seconds=SECONDS, gigabytes=GIGABYTES):
    """`work()` in a child process, with limits

    Returns (what it returned, a JSON-able; how it died or None; seconds, megabytes it grew)."""
    out,into = os.pipe()
    before = resident(os.getpid())
    child = os.fork()
    if not child:
        os.close(out)
        leave_with(work, into, seconds, gigabytes)
    os.close(into)
    with os.fdopen(out, 'rb') as f: said = f.read()
    _,status,used = os.wait4(child, 0)
    died = None
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        late = number in (signal.SIGPROF, signal.SIGALRM)
        died = f'took over {seconds} s' if late else signal.Signals(number).name
    elif os.WEXITSTATUS(status): died = f'left with {os.WEXITSTATUS(status)}'
    grown = max(0, used.ru_maxrss/1024-before)
    spent = used.ru_utime+used.ru_stime
    return json.loads(said) if said and not died else None,died,spent,grown

def resident(pid):
    "Memory of a process, MB"
    return int(re.search(r'VmRSS:\s*(\d+)', Path(f'/proc/{pid}/status').read_text())[1])/1024

def leave_with(work, into, seconds, gigabytes):
    "In the child"
    code = 1
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(20*seconds) # for one that waits
        virtual = int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (virtual+int(gigabytes*2**30),)*2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with os.fdopen(into, 'wb') as f: f.write(json.dumps(work()).encode())
        code = 0
    finally:
        os._exit(code)
