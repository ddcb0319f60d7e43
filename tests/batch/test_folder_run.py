"The way of the photographs of a folder through network and workers"
import os, sys
import numpy as np, pytest, torch
from PIL import Image
from batch_tools import litter, photographs, quick
from colorized.batch.ledger import read_report
from colorized.batch.options import BatchOptions
from colorized.batch.progress import ProgressBar
from colorized.batch.run import FolderRun, Job
from colorized.batch.workers import DIED, Outcome
from colorized.batch.claims import Claims
from colorized.inference.colorizer import Colorizer
from colorized.model.sampling import working_shape
from colorized.photo.reading import read_scan

def test_photographs_on_one_call_are_those_alone(tmp_path, colorizer, monkeypatch):
    "Chunks of 4, photographs of two shapes"
    src = photographs(tmp_path/'in', 5)
    photographs(src/'wide', 4, (200, 60))
    calls,real = [],colorizer.sample
    def sample(cond, *args, **draw):
        calls.append(len(cond))
        return real(cond, *args, **draw)
    monkeypatch.setattr(colorizer, 'max_rows', 4)
    monkeypatch.setattr(colorizer, 'sample', sample)
    assert quick(src, tmp_path/'out', colorizer, batch=6).done==9
    assert sorted(calls)==[1, 4, 4]
    monkeypatch.undo()
    for o in ('03.jpg', 'wide/02.jpg'):
        colorizer.colorize(src/o, steps=2).save(tmp_path/'alone.jpg')
        a,b = [np.asarray(Image.open(p), float) for p in (tmp_path/'out'/o, tmp_path/'alone.jpg')]
        assert abs(a-b).max()<=2
        (tmp_path/'alone.jpg').unlink()

def test_of_many_shapes_none_waits_for_its_like(tmp_path, colorizer, monkeypatch):
    "Else a folder in which no two photographs have one shape would be waited for for ever"
    src,turns,real = tmp_path/'in',[],FolderRun.collect
    for i in range(6): photographs(src/str(i), 1, (96, 96+64*i))
    def collect(self, wait_for_one=True):
        turns.append(wait_for_one)
        assert len(turns)<200, 'nothing moves'
        real(self, wait_for_one)
    monkeypatch.setattr(FolderRun, 'collect', collect)
    monkeypatch.setattr(colorizer, 'max_rows', 4)
    assert quick(src, tmp_path/'out', colorizer, workers=0, batch=2).done==6

def test_network_failure(tmp_path, colorizer, monkeypatch):
    "One photograph is too much for the network: the others of its group are colored"
    src,out = photographs(tmp_path/'in', 5),tmp_path/'out'
    shape = working_shape((90, 120), multiple=colorizer.net.cfg.multiple)
    bad = read_scan(src/'01.jpg').thumbnail_L(shape)
    def condition(L, hints=None):
        if torch.equal(L, bad): raise RuntimeError('out of memory')
        return Colorizer.condition(colorizer, L, hints)
    monkeypatch.setattr(colorizer, 'condition', condition)
    monkeypatch.setattr(colorizer, 'max_rows', 4)
    got = quick(src, out, colorizer)
    assert (got.done, got.failed)==(4, 1)
    error = read_report(out)['01.jpg']['error']
    assert error==f"{src/'01.jpg'}: the network failed (RuntimeError: out of memory)"

@pytest.mark.skipif(not hasattr(os, 'sched_getaffinity'), reason='cores are counted otherwise')
def test_the_network_leaves_cores_to_the_workers(tmp_path, colorizer, monkeypatch):
    "where that leaves the bytes as they are; and gives the threads back"
    if not colorizer.bf16: pytest.skip("in float32 threads change the last bits")
    src,used = photographs(tmp_path/'in', 3),[]
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: {0, 1})
    real = colorizer.sample
    def sample(cond, seeds, steps, **draw):
        used.append((steps, torch.get_num_threads()))
        return real(cond, seeds, steps=steps, **draw)
    monkeypatch.setattr(colorizer, 'sample', sample)
    torch.set_num_threads(2)
    try:
        for bf16,want in ((True, {1}), (False, {2})):
            monkeypatch.setattr(colorizer, 'bf16', bf16)
            used.clear()
            assert quick(src, tmp_path/f'out{bf16}', colorizer, workers=1, steps=3).done==3
            assert {t for s,t in used if s==3}==want and torch.get_num_threads()==2
    finally: torch.set_num_threads(1)

@pytest.fixture
def run(tmp_path, colorizer):
    "Three jobs that nobody has begun"
    src = photographs(tmp_path/'in', 3)
    (tmp_path/'out').mkdir()
    jobs = [Job(o, [tmp_path/'out'/o.name], dict(path=o.name)) for o in sorted(src.iterdir())]
    with ProgressBar(3, progress=False) as bar:
        out = FolderRun(jobs, colorizer, BatchOptions(steps=1), tmp_path/'out', bar, workers=0)
        yield out
        out.close()
    assert not litter(tmp_path/'out')

def test_five_deaths_end_the_run(run):
    run.workers.deaths = 4
    run.fail(run.todo.popleft(), DIED)
    assert not run.summary.stopped
    run.workers.deaths = 5
    run.fail(run.todo.popleft(), DIED)
    assert run.summary.stopped=='5 processes died one after the other' and not run.todo
    assert (run.summary.failed, run.summary.left)==(2, 1)

def test_what_died_with_another_photograph_is_done_again(run):
    "and what had been begun of the one to blame is removed"
    outcomes = [None, Outcome(None, DIED)]
    real = run.workers.outcome
    def outcome(f):
        if not outcomes: return real(f)
        out = outcomes.pop(0)
        if out: (run.summary.folder/f'.{f.task[1].name}.0123abcd.tmp').touch()
        return out
    run.workers.outcome = outcome
    run.go()
    assert (run.summary.done, run.summary.failed, run.summary.left)==(2, 1, 0)

def test_claims_of_another_process(run, tmp_path):
    "are tried again at the end, then left to it"
    theirs = Claims()
    first,second = [o.outputs[0] for o in run.todo][:2]
    assert theirs.take(first) and theirs.take(second)
    real = run.end
    def end(job, kind, report=True): # when the third is colored, they give up the second
        real(job, kind, report)
        if kind=='done': theirs.release(second)
    run.end = end
    run.go()
    theirs.release()
    assert (run.summary.done, run.summary.elsewhere, run.summary.left)==(2, 1, 0)
    assert set(read_report(tmp_path/'out'))=={'01.jpg', '02.jpg'}

def test_what_was_done_before_does_not_count_for_the_time_left(run, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ipykernel', None) # a bar is shown
    with ProgressBar(3, progress=True) as bar:
        run.bar = bar
        run.end(run.todo.popleft(), 'skipped')
        run.end(run.todo.popleft(), 'done')
        assert (bar.n, bar.initial)==(2, 1)

def test_cores_are_left_with_a_small_trial(run, monkeypatch):
    "of one step, on what the next photograph looks like"
    tried = []
    try_it = lambda n, work: tried.append((n, work()))
    monkeypatch.setattr('colorized.batch.run.leave_cores', try_it)
    L = torch.zeros(1, 1, 64, 96)
    assert run.has_left_cores # without workers there is nothing to leave
    run.has_left_cores = False
    run.leave_cores(L)
    assert run.has_left_cores and [n for n,_ in tried]==[0]
    assert tried[0][1].shape==(1, 2, 16, 24)

def test_ctrl_c_begins_nothing_more(run):
    run.admit(run.todo.popleft())
    run.interrupt()
    assert run.summary.stopped=='interrupted' and run.summary.left==3
    assert not (run.todo or run.ready or run.running)
