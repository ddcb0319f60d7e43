"Processes that die, and what of it is told"
import errno, os, signal, time
from multiprocessing.connection import Connection
import pytest
from batch_tools import posix, until
from colorized.batch.workers import DIED, Workers, disk_errno, run_task
from colorized.photo.scan import ScanError

@pytest.fixture
def worker():
    w = Workers(1)
    yield w
    w.close()

def test_a_worker_that_dies_takes_one_photograph_with_it(worker):
    w = worker
    tasks = [w.submit(len, 'abc'), w.submit(os._exit, 1), w.submit(len, 'ab'), w.submit(len, 'a')]
    for o in tasks: until(o.done)
    outcomes = [w.outcome(o) for o in reversed(tasks)][::-1]
    assert outcomes==[(3, None, None), (None, f'1: {DIED}', None), None, None]
    assert DIED=='the process that worked on it died; is there too little memory?'
    again = w.submit(len, 'ab')
    until(again.done)
    assert w.outcome(again)==(2, None, None) and w.deaths==0

def test_deaths_in_turn_are_counted(worker):
    for n in (1, 2, 3):
        f = worker.submit(os._exit, 1)
        until(f.done)
        assert worker.outcome(f).error and worker.deaths==n

@posix
def test_a_worker_that_is_killed(worker):
    "as the kernel does when memory is short"
    first = worker.submit(time.sleep, 0)
    until(first.done)
    worker.outcome(first)
    slow,next_one = worker.submit(time.sleep, 60),worker.submit(len, 'ab')
    until(slow.running)
    time.sleep(0.2)
    for pid in worker._pools[0]._processes: os.kill(pid, signal.SIGKILL)
    for o in (slow, next_one): until(o.done, 20)
    assert worker.outcome(slow).error==f'60: {DIED}' and worker.outcome(next_one) is None

def write_half_and_die(photo):
    def _send(self, buf, write=os.write):
        write(self._handle, bytes(buf)[:len(buf)//2])
        os.kill(os.getpid(), signal.SIGKILL)
    Connection._send = _send
    return bytes(100_000)

@posix
def test_a_worker_that_is_killed_in_the_middle_of_its_result(worker):
    half,next_one = worker.submit(write_half_and_die, 'a.jpg'),worker.submit(len, 'ab')
    for o in (half, next_one): until(o.done, 20)
    assert worker.outcome(half).error==f'a.jpg: {DIED}' and worker.outcome(next_one) is None

@posix
def test_workers_do_not_hear_ctrl_c(worker):
    slow = worker.submit(time.sleep, 1)
    until(slow.running)
    for _ in range(20):
        for pid in worker._pools[0]._processes: os.kill(pid, signal.SIGINT)
        time.sleep(0.05)
    until(slow.done)
    assert worker.outcome(slow)==(None, None, None)

def test_the_shortest_queue_gets_the_task():
    w = Workers(2)
    try:
        tasks = [w.submit(time.sleep, 0.01) for _ in range(6)]
        assert [len(o) for o in w._queues]==[3, 3]
        for o in tasks: until(o.done)
        for o in tasks: w.outcome(o)
        assert [len(o) for o in w._queues]==[0, 0]
    finally: w.close()

def test_what_has_not_begun_can_be_taken_back(worker):
    slow = worker.submit(time.sleep, 0.5)
    until(slow.running)
    rest = [worker.submit(len, 'a') for _ in range(4)]
    assert not slow.cancel()
    back = [o for o in rest if o.cancel()]
    for o in back: worker.forget(o)
    assert len(back)>=2 and len(worker._queues[0])==5-len(back)

def test_errors_of_the_disk_are_found_behind_others():
    def fail(photo):
        try: raise OSError(errno.ENOSPC, 'No space left on device')
        except OSError as e: raise ScanError(f'{photo}: cannot be written') from e
    assert run_task(fail, 'a.jpg')==(None, 'a.jpg: cannot be written', errno.ENOSPC)
    try:
        try: raise OSError(errno.EROFS, 'read-only')
        except OSError: raise ValueError('odd') # no `from`: the context counts as well
    except ValueError as e: assert disk_errno(e)==errno.EROFS
    assert disk_errno(OSError(errno.EACCES, 'no')) is None
    assert run_task(int, 'x').error.startswith('x: ValueError: ')
