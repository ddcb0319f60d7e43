"One run in a folder: a second one is refused, a killed one keeps nobody waiting"
import os, signal
from functools import partial
import pytest
from fastai.callback.core import Callback
from colorized.training.distributed import only_run
from colorized.training.train import train
from training_helpers import BRIEF, pictures

def forked(f):
    "What `f` says in another process: its error, or what it writes before it is killed"
    said,say = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            f(say)
        except Exception as e:
            os.write(say, f'{type(e).__name__}: {e}'.encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    try:
        os.set_blocking(said, False)
        return os.read(said, 1000).decode()
    except BlockingIOError: # nothing
        return ''
    finally:
        os.close(said)
        os.close(say)

class Second(Callback):
    "While the first run trains, another process tries to do so as well"
    order = 80
    def __init__(self, run): self.run,self.said = run,[]
    def before_batch(self):
        if self.training: self.said.append(forked(lambda _: self.run()))

def test_two_runs_in_one_folder(tmp_path):
    "The second is refused, until the first has ended, with or without an error"
    out = tmp_path/'run'
    run = partial(train, pictures(4), out, bs=4, **BRIEF)
    first = Second(partial(run, photos=12, resume=True))
    run(photos=4, cbs=[first])
    assert first.said==[f'BlockingIOError: another process trains in {out}: wait until it ends, '
                        'or choose another folder']
    with pytest.raises(ValueError, match='seed'): run(photos=8, resume=True, seed=1)
    assert not list(out.glob('*lock*'))
    again = Second(partial(run, photos=4))
    assert run(photos=8, resume=True, cbs=[again]).this_run.photos==8
    assert again.said==first.said

@pytest.mark.parametrize('helper', [False, True])
def test_a_killed_run_keeps_nobody_waiting(tmp_path, helper):
    "Not even where a helper that it has forked lives on"
    out,(wait,end) = tmp_path/'run',os.pipe()
    def killed(say):
        with only_run(out):
            if helper and not os.fork():
                os.close(end)
                os.read(wait, 1) # until the test has ended
                os._exit(0)
            os.write(say, b'trains')
            os.kill(os.getpid(), signal.SIGKILL)
    try:
        assert forked(killed)=='trains' and list(out.iterdir())
        with only_run(out):
            assert forked(lambda _: only_run(out).__enter__()).startswith('BlockingIOError')
    finally:
        os.close(end)
        os.close(wait)
    assert not list(out.iterdir())

def test_a_lock_that_was_removed_just_now_is_none(tmp_path, monkeypatch):
    "Who waited for it locks a file without a name: it makes a new one"
    from colorized.training import distributed
    whole,opened = distributed.open_regular,[]
    def removed(path, flags):
        fd = whole(path, flags)
        opened.append(fd)
        if len(opened)==1: path.unlink()
        return fd
    monkeypatch.setattr(distributed, 'open_regular', removed)
    with only_run(tmp_path):
        assert len(opened)==2 and [o.name for o in tmp_path.iterdir()]==['.train.lock']

def test_what_never_began_leaves_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing to resume'):
        train(pictures(4), tmp_path/'runs/new/run', photos=4, resume=True, **BRIEF)
    assert not list(tmp_path.iterdir())
