"The callbacks of training: draws that never change, problems and losses against their formulas"
import re
from contextlib import suppress
from functools import partial
import numpy as np, pytest, torch
from PIL import Image
from fastai.callback.core import Callback, CancelBatchException, CancelStepException
from colorized.theory.vlb import loss_weight
from colorized.training.callbacks import (draw_timesteps, ema_multi_avg_fn, keyed_generator,
                                          weighted_mse)
from colorized.training.distributed import unwrap_model
from colorized.training.train import train
from training_helpers import BRIEF, crops, go, pictures

def test_draws_are_pinned():
    "A resumed run must draw what the version that began it would have drawn"
    assert keyed_generator(0).initial_seed()==7896617691693857887
    assert keyed_generator(3, 2, 1).initial_seed()==4404663168949438663
    assert draw_timesteps(4, 1000, keyed_generator(3, 2, 1)).tolist()==[423, 954, 129, 540]

def test_timesteps_are_stratified():
    for n,n_steps in ((8, 1000), (5, 7), (1, 10), (4, 4), (3, 1)):
        t = draw_timesteps(n, n_steps, keyed_generator(n, n_steps))
        assert t.dtype==torch.int64 and 0<=t.min() and t.max()<n_steps
        low = torch.arange(n)*n_steps//n
        assert (t.sort().values>=low).all()
        assert (t.sort().values<=(torch.arange(n)+1)*n_steps/n).all()

def test_loss_is_a_weighted_mean():
    pred,true,weight = torch.randn(3,2,4,4),torch.randn(3,2,4,4),torch.rand(3)
    each = [weight[i]*np.mean((pred[i]-true[i]).numpy()**2) for i in range(3)]
    assert weighted_mse(pred, true, weight).item()==pytest.approx(np.mean(each), rel=1e-5)

class Problems(Callback):
    "Keeps what the examples were and what has become of them"
    order,run_valid = 10,True
    def __init__(self): self.seen = []
    def before_batch(self): self.examples = (*self.xb, *self.yb)
    def after_pred(self):
        self.seen.append((self.training, self.iter, self.examples, self.xb, self.yb))

def test_problems_are_those_of_the_formulas(tmp_path):
    "x_t, target and weight of every batch from the schedule's tables, with noise drawn anew"
    train(pictures(5), tmp_path/'run', photos=10, bs=2, seed=3, cbs=[kept := Problems()], **BRIEF)
    config = BRIEF['config']
    schedule = config.make_schedule()
    assert len(kept.seen)==2*(3+1)
    epoch = -1
    for training,k,(L,hints,ab),(x_t,t,cond),(target,weight) in kept.seen:
        epoch += training and k==0
        key = (3, epoch if training else 2**31-1, k)
        n = len(L)
        assert torch.equal(t, draw_timesteps(n, 1000, keyed_generator(*key)))
        where = range(2*k, 2*k+n)
        eps = torch.stack([torch.randn(2,16,16, generator=keyed_generator(*key, i)) for i in where])
        a = schedule.alphas_cumprod[t].view(-1,1,1,1)
        expected = a.sqrt()*ab/20 + (1-a).sqrt()*eps
        assert torch.allclose(x_t.double(), expected, atol=1e-5)
        assert torch.equal(target, ab/20) and torch.equal(cond.L, L/50-1)
        assert torch.equal(weight, loss_weight('inv_sigma2', 'x0', schedule, t))

class Break(Callback):
    "What a batch that is too large does: the forward pass fails, or the batch is given up"
    order = 50
    def __init__(self, error): self.error = error
    def before_batch(self):
        if self.training: raise self.error

@pytest.mark.parametrize('error', [RuntimeError('out of memory'), CancelBatchException()])
def test_an_error_does_not_leave_bfloat16_on(tmp_path, monkeypatch, error):
    "Another run in the same process, with smaller batches, goes through"
    monkeypatch.setattr('colorized.training.learner.has_native_bf16', lambda device: True)
    run = partial(train, pictures(4), photos=4, **{**BRIEF, 'bf16': True})
    with suppress(RuntimeError): run(tmp_path/'large', bs=4, cbs=[Break(error)])
    assert not torch.is_autocast_enabled('cpu')
    assert run(tmp_path/'small', bs=2).this_run.photos==4

class SkipEveryOther(Callback):
    order = 20
    def before_step(self):
        if self.learn.this_run.steps%2: raise CancelStepException()

def test_average_ignores_skipped_steps(tmp_path):
    seen = []
    class Watch(Callback):
        order = 21
        def after_step(self):
            seen.append([p.detach().clone() for p in unwrap_model(self.model).unet.parameters()])
    learn = go(crops(tmp_path/'photos', 8), tmp_path/'run', photos=20, bs=2, decay=0.5,
               cbs=[SkipEveryOther(), Watch()])
    taken = seen[::2] # fastai fires `after_step` after skipped steps too
    average,update = [p.clone() for p in taken[0]],ema_multi_avg_fn(0.5)
    for n,params in enumerate(taken[1:], 1): update(average, params, n)
    assert int(learn.ema.average.n_averaged)==len(taken)==5
    for a,b in zip(average, learn.ema.net.unet.parameters()): torch.testing.assert_close(a, b)

def test_validation_loss_counts_each_photograph_once(tmp_path):
    "Of batches of two and one the mean is over three photographs, not over two batches"
    losses = []
    class Keep(Callback):
        run_valid = True
        def after_loss(self):
            if not self.training: losses.append((self.loss.item(), len(self.yb[0])))
    learn = train(pictures(2), tmp_path/'run', photos=2, bs=2, cbs=[Keep()],
                  **{**BRIEF, 'valid': pictures(3)})
    assert [n for _,n in losses]==[2, 1]
    expected = sum(l*n for l,n in losses)/3
    assert float(learn.recorder.loss.value)==pytest.approx(expected, rel=1e-6)

def test_a_run_says_what_is_of_no_use_and_counts_its_own_epochs(tmp_path, capsys):
    "Before and after it was resumed; in fastai's bar there were a million epochs"
    data = crops(tmp_path/'photos', 8)
    first,second,*_ = sorted(data.iterdir())
    Image.open(first).convert('L').save(data/'gray.png')
    (data/'torn.png').write_bytes(second.read_bytes()[:200])
    brief = dict(BRIEF, bar=True, bs=4)
    train(data, tmp_path/'run', photos=16, **brief)
    said = capsys.readouterr().out
    assert f'8 photographs below {data} (left out: 1 gray or of one tint, 1 broken' in said
    assert 'Epoch 1, 50% of the budget' in said and '1000000' not in said
    train(data, tmp_path/'run', photos=24, resume=True, **brief)
    said = capsys.readouterr().out
    assert 'going on after 16 photographs, from epoch 2' in said and 'Epoch 2, 67% of' in said
    assert re.findall(r'(\d+) +\d\.\d+ +\d+\.\d+ +\d\d:\d\d', said)==['2'] # a row of the table
