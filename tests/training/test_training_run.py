"A run: killed and resumed it is the same run, photographs grow on the way, Ctrl-C and full disks"
import csv, os, resource, signal, subprocess, sys, time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
import numpy as np, pytest, torch
from fastai.callback.core import Callback
from colorized.cli.main import main
from colorized.model.checkpoint import load_checkpoint
from colorized.training.run import RunCallback, read_state, save_on_interrupt
from colorized.training.train import train
from training_helpers import (BRIEF, PLAIN, TINY_OPTIONS, crops, go, pictures, same_weights,
                              state_of)

pytestmark = pytest.mark.slow

LONG = dict(photos=200, bs=8, run_args=dict(minutes=0.01))
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_training_run import LONG, go
go(Path({data!r}), Path({out!r}), **LONG)
"""

def test_survives_kill_9(tmp_path):
    data,state = crops(tmp_path/'photos', 40),tmp_path/'killed/state.pt'
    script = SCRIPT.format(tests=str(Path(__file__).parent), data=str(data), out=str(state.parent))
    victim = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.DEVNULL)
    while not state.exists():
        assert victim.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert victim.returncode==-signal.SIGKILL, "the run ended before it was killed"
    assert state_of(state.parent)['photos']<LONG['photos']
    for out in ('killed','whole'): go(data, tmp_path/out, resume=out=='killed', **LONG)
    killed,whole = [load_checkpoint(tmp_path/o/'model.safetensors')[0].state_dict()
                    for o in ('killed','whole')]
    assert same_weights(killed, whole)

class Kill(Callback):
    "Ends a run after the epoch with so many photographs"
    order = 80 # after `RunCallback` has saved
    def __init__(self, photos): self.photos = photos
    def after_epoch(self):
        if self.learn.this_run.photos==self.photos: raise KeyboardInterrupt

def test_killed_between_epochs(tmp_path):
    "The state saved after an epoch's last batch goes on with the next epoch"
    data = crops(tmp_path/'photos', 16)
    run = lambda out, *cbs, minutes=5, **kwargs: go(data, tmp_path/out, photos=32, bs=8, cbs=cbs,
        run_args=dict(decay=0, minutes=minutes), **kwargs)
    with pytest.raises(KeyboardInterrupt): run('killed', Kill(16), minutes=0)
    state = state_of(tmp_path/'killed')
    assert (state['epoch0'], state['batch0'], state['photos'])==(1, 0, 16)
    killed,whole = run('killed', resume=True),run('whole')
    assert same_weights(killed.ema.net.state_dict(), whole.ema.net.state_dict())

def test_killed_before_the_state_that_ends_it(tmp_path, monkeypatch):
    "What was written before it is written again, once; a state that ends a run has all beside it"
    data = crops(tmp_path/'photos', 16)
    run = lambda out, **kwargs: go(data, tmp_path/out, photos=32, bs=8,
                                   run_args=dict(decay=0), **kwargs)
    save = RunCallback.save
    def killed_at_the_end(self, *args):
        if self.photos==32: raise KeyboardInterrupt
        save(self, *args)
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        m.setattr(RunCallback, 'save', killed_at_the_end)
        run('killed')
    leftover = tmp_path/'killed/.state.pt.01234567.tmp'
    leftover.write_bytes(b'half')
    os.utime(leftover, (0, 0))
    assert state_of(tmp_path/'killed')['photos']==16
    killed,whole = run('killed', resume=True),run('whole')
    assert same_weights(killed.ema.net.state_dict(), whole.ema.net.state_dict())
    log = [[o['photos'] for o in csv.DictReader((tmp_path/k/'log.csv').open())]
           for k in ('killed', 'whole')]
    assert log[0]==log[1]==['16', '32'] and not leftover.exists()

KEYS = ['model', 'average', 'opt', 'config', 'settings', 'teacher', 'run_id', 'seed',
        'number_of_photographs', 'names', 'watched', 'bs', 'recipe', 'how', 'epoch0', 'batch0',
        'steps', 'photos', 'seconds']

def test_the_state_keeps_its_format(tmp_path):
    "Pinned: a run is resumed by later versions, and those of earlier ones by this"
    first = train(pictures(10), tmp_path/'run', photos=12, bs=4, lr=1e-3, seed=2,
                  settings=dict(no_hints='0.5'), **BRIEF)
    state = state_of(tmp_path/'run')
    assert list(state)==KEYS
    watched = '2 photographs, without names'
    assert [state[k] for k in KEYS[4:12]]==[{'no_hints': '0.5'}, None, 'none', 2, 10, None,
                                            watched, 4]
    assert state['recipe']['no_hints']==0.5 and state['config']['net']['widths']==(32,32)
    assert state['how']==dict(lr=1e-3, bf16=False)
    assert [state[k] for k in KEYS[14:18]]==[1, 1, 4, 14] # 10, and the first batch again
    read = read_state(tmp_path/'run')
    assert read['config']==first.diffusion.config and read['recipe']==first.dls.train_ds.recipe

def test_a_state_of_the_first_versions_goes_on(tmp_path):
    "They kept neither recipe nor batch size nor how to learn, nothing but the settings"
    run = lambda photos, **kwargs: train(pictures(8), tmp_path/'run', photos=photos, bs=4,
                                         **{**BRIEF, 'recipe': None}, **kwargs)
    run(4, settings=dict(size='64', small='0', archival='0'))
    state = state_of(tmp_path/'run')
    for k in ('recipe', 'how', 'bs', 'seed', 'number_of_photographs', 'names', 'watched',
              'run_id', 'teacher'):
        del state[k]
    torch.save(state, tmp_path/'run'/'state.pt')
    learn = run(8, resume=True)
    assert learn.this_run.photos==8 and learn.dls.train_ds.recipe.archival==0

class Sizes(Callback):
    order,run_valid = 9,True
    def __init__(self): self.seen = []
    def before_batch(self): self.seen.append((self.training, self.xb[0].shape[-1]))

def test_photographs_grow(tmp_path):
    """The first part of the budget is small, also for workers; the epoch is cut where they grow

    The validation loss, and the falling rate, belong to the full size."""
    recipe,sizes = replace(PLAIN, small=32, small_share=0.6),Sizes()
    learn = go(crops(tmp_path/'photos', 20), tmp_path/'run', photos=40, bs=8, recipe=recipe,
               num_workers=1, cbs=[sizes], run_args=dict(warmup=1, decay=0.5))
    watched = [(False,64)]*3
    assert sizes.seen==[*[(True,32)]*3, *watched, # batches of 8, 8 and 4
                        (True,32), *watched,      # then 28 of 40 photographs were seen
                        *[(True,64)]*2, *watched]
    log = list(csv.DictReader((tmp_path/'run/log.csv').open()))
    where = [(o['epoch'], o['photos'], o['size']) for o in log]
    assert where==[('0','20','32'), ('1','28','32'), ('1','40','64')]
    # before the last two steps 70 and 90 % were spent, 40 % are for the decay
    rates = np.array(learn.recorder.lrs)/learn.this_run.lr
    assert rates==pytest.approx([1, 1, 1, 1, 0.5, 1-0.75**0.5])
    off = go(tmp_path/'photos', tmp_path/'off', photos=16, bs=8, recipe=replace(recipe, small=0))
    assert off.dls.train_ds.size==64 and off.this_run.size==64

def test_the_table_has_all_columns_where_an_epoch_is_cut(tmp_path):
    "Where the budget ends in mid-epoch, as elsewhere: the training loss, then that of validation"
    learn = train(pictures(8), tmp_path/'run', photos=12, bs=4, **BRIEF)
    whole,cut = learn.recorder.values
    log = list(csv.DictReader((tmp_path/'run/log.csv').open()))
    for row,o in zip(log, (whole, cut), strict=True):
        losses = [float(row[k]) for k in ('train_loss', 'valid_loss')]
        assert list(o)==pytest.approx(losses, rel=1e-5)

def test_short_runs_reach_their_learning_rate(tmp_path):
    "The warm-up takes a tenth of the budget at most; no number of epochs ends a run within days"
    learn = train(pictures(20), tmp_path/'run', epochs=2, bs=2, lr=1e-3, run_args=dict(decay=0),
                  **{**BRIEF, 'bar': True})
    assert learn.recorder.lrs==pytest.approx([1e-3/200, 5e-4, *[1e-3]*18])
    assert learn.n_epoch==10**6

class Press(Callback):
    "Ctrl-C"
    order = 1
    def before_batch(self):
        if self.training and self.learn.this_run.steps==1: signal.raise_signal(signal.SIGINT)

class Deaf(list):
    "Pictures that are read where Ctrl-C is not heard"
    def __getitem__(self, i):
        assert signal.getsignal(signal.SIGINT)==signal.SIG_IGN
        return super().__getitem__(i)

def test_ctrl_c_saves_what_was_learnt(tmp_path):
    "The batch is finished and the state saved; helpers do not hear it"
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(Deaf(pictures(16)), tmp_path/'run', photos=16, bs=4, cbs=[Press()],
              **{**BRIEF, 'num_workers': 1})
    assert read_state(tmp_path/'run')['photos']==8 and signal.getsignal(signal.SIGINT)==before

def test_a_second_ctrl_c_does_not_wait(tmp_path):
    run = RunCallback(tmp_path, 1e-3, photos=1)
    before = signal.getsignal(signal.SIGINT)
    with save_on_interrupt(run):
        signal.raise_signal(signal.SIGINT)
        assert run.stop_requested
        with pytest.raises(KeyboardInterrupt): signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT)==before

def test_ctrl_c_while_helpers_are_being_born(tmp_path):
    "One line, 130 and a state, also for a whole group of processes"
    data = crops(tmp_path/'photos', 12, 64)
    args = ['train', '--data', data, '--out', tmp_path/'run', '--photos', 10**6, '--size', 64,
            '--small', 0, '--bs', 8, '--workers', 2, '--threads', 1, '--device', 'cpu',
            *TINY_OPTIONS]
    code = 'import sys; from colorized.cli.main import main; sys.exit(main())'
    p = subprocess.Popen([sys.executable, '-c', code, *map(str, args)], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, start_new_session=True)
    log = tmp_path/'run/log.csv'
    while not (log.exists() and len(log.read_text().splitlines())>2):
        assert p.poll() is None, p.stderr.read()
        time.sleep(0.002)
    os.killpg(p.pid, signal.SIGINT)
    _,err = p.communicate(timeout=60)
    assert p.returncode==130 and 'Traceback' not in err, err
    assert err.splitlines()[-1]=='colorized: interrupted'

def test_a_full_disk_leaves_no_torn_state(tmp_path, monkeypatch):
    def full(state, f):
        f.write(b'torn')
        raise RuntimeError('unexpected pos 64 vs 0')
    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(OSError, match='state.pt could not be written: unexpected pos'):
        train(pictures(4), tmp_path/'run', photos=4, bs=4, **BRIEF)
    assert not list((tmp_path/'run').glob('*state*'))

@contextmanager
def files_of_at_most(n):
    "The kernel ends each file of this process after `n` bytes, as a full disk does"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)

def test_the_kernel_refuses_to_write(tmp_path):
    "What PyTorch and the kernel say becomes one error that names the file; the old state stays"
    train(pictures(4), tmp_path/'run', photos=4, bs=4, **BRIEF)
    state = (tmp_path/'run/state.pt').read_bytes()
    with files_of_at_most(len(state)//2), pytest.raises(OSError, match='state.pt could not be'):
        train(pictures(4), tmp_path/'run', photos=8, bs=4, resume=True, **BRIEF)
    assert (tmp_path/'run/state.pt').read_bytes()==state
    assert len(list((tmp_path/'run').glob('*state*')))==1

def test_a_loss_that_diverges_is_one_line(tmp_path, capsys):
    data = crops(tmp_path/'photos', 8, 64)
    args = ['train', '--data', data, '--valid', data, '--out', tmp_path/'run', '--photos', 80,
            '--size', 64, '--bs', 4, '--lr', '1e30', '--workers', 0, '--threads', 1, '--device',
            'cpu']
    assert main([*map(str, args), *TINY_OPTIONS])==1
    said, = capsys.readouterr().err.splitlines()
    assert said.startswith('colorized: loss is') and 'after 1 steps; no state was saved' in said

def test_what_diverged_is_not_saved(tmp_path):
    "One batch an epoch: only validation sees what it has done to the weights"
    run = partial(train, pictures(4), tmp_path/'run', bs=4, **BRIEF)
    run(photos=4)
    before = {o.name: o.read_bytes() for o in (tmp_path/'run').iterdir()}
    with pytest.raises(FloatingPointError, match='validation loss is .* after 2 .*run/state.pt'):
        run(photos=40, lr=1e30, resume=True)
    assert {o.name: o.read_bytes() for o in (tmp_path/'run').iterdir()}==before

class Ruin(Callback):
    order = 60
    def after_batch(self):
        if self.training: next(self.model.unet.parameters()).data.fill_(float('nan'))

def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    "Nor is a state in the middle of an epoch"
    with pytest.raises(FloatingPointError, match='some weight is not finite after 1 steps; no'):
        train(pictures(8), tmp_path/'run', photos=8, bs=4, cbs=[Ruin()], run_args=dict(minutes=0),
              **BRIEF)
    assert not (tmp_path/'run/state.pt').exists()

def test_weight_decay_can_change(tmp_path):
    "A resumed run keeps its own, or takes what is named"
    run = lambda photos, **settings: train(pictures(4), tmp_path/'run', photos=photos, bs=4,
                                           resume=photos>4, settings=settings, **BRIEF)
    used = []
    for photos,settings in ((4, {}), (8, dict(wd='0.5')), (12, {})):
        learn = run(photos, **settings)
        used.append([o['weight_decay'] for o in learn.opt.opt.param_groups])
    assert used==[[0.01], [0.5], [0.5]]

def test_a_budget_that_is_spent_still_has_its_model(tmp_path):
    "Stopped in the first epoch, then resumed with a budget that is spent already"
    with pytest.raises(KeyboardInterrupt):
        train(pictures(16), tmp_path/'run', photos=16, bs=4, cbs=[Press()], **BRIEF)
    assert not (tmp_path/'run/model.safetensors').exists()
    learn = train(pictures(16), tmp_path/'run', photos=8, bs=4, resume=True, **BRIEF)
    net,config,_ = load_checkpoint(tmp_path/'run/model.safetensors')
    assert config.training['photographs']==8==learn.this_run.photos
    expected = {k: v.half().float() for k,v in learn.ema.net.state_dict().items()}
    assert same_weights(net.state_dict(), expected)

@pytest.mark.parametrize('resume', [False, True])
def test_a_damaged_state_is_named(tmp_path, resume):
    run = partial(train, pictures(4), tmp_path/'run', bs=4, **BRIEF)
    run(photos=4)
    state = tmp_path/'run/state.pt'
    whole = state.read_bytes()
    torch.save(dict(a=1), other := tmp_path/'other.pt')
    for damaged in (b'', b'no state', whole[:len(whole)//2], other.read_bytes()):
        state.write_bytes(damaged)
        with pytest.raises(ValueError, match='state.pt is damaged, or not the state of a') as e:
            run(photos=8, resume=resume)
        assert len(str(e.value).splitlines())==1

def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    class Spoil(Callback):
        order = 69
        def after_loss(self):
            if self.training and self.learn.this_run.steps==1:
                self.learn.loss = self.loss*float('nan')
    with pytest.raises(FloatingPointError, match='loss is nan after 1 steps; no state was'):
        train(pictures(8), tmp_path/'run', photos=8, bs=4, cbs=[Spoil()], **BRIEF)
