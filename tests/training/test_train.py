"Training: photographs are learned by heart, a resumed run keeps what it had, nonsense is refused"
import csv, math, shutil, time
from dataclasses import replace
from functools import partial
import numpy as np, pytest, torch
from colorized.inference.colorizer import Colorizer
from colorized.model.checkpoint import ModelConfig, SamplingSettings
from colorized.model.unet import UNetConfig
from colorized.model.sampling import sample_chroma
from colorized.theory.samplers import randn
from colorized.training.examples import ColorizationDataset
from colorized.training.sources import PhotoFolder, Subset
from colorized.training.train import chroma_std, train
from training_helpers import BRIEF, NO_ENCODER, PLAIN, TINY, crops, go, pictures

pytestmark = pytest.mark.slow

def test_learns_eight_photographs_by_heart(tmp_path):
    eight = PhotoFolder(crops(tmp_path/'photos', 8))
    learn = go(Subset(eight, list(range(8))*100), tmp_path/'run', valid=eight, photos=8*300, bs=8,
               recipe=replace(PLAIN, min_crop=1.), lr=3e-3, decay=0.95, run_args=dict(warmup=20))
    L,_,ab = next(iter(learn.dls.valid))
    net = learn.ema.net.eval()
    with torch.no_grad():
        settings = SamplingSettings(steps=10)
        found = sample_chroma(TINY.denoiser(net), TINY, net.condition(L), list(range(len(L))),
                              settings)
    error,gray = (found-ab).square().mean().sqrt(),ab.square().mean().sqrt()
    assert error<0.25*gray, f"samples miss the true chroma by {error:.1f} units, gray by {gray:.1f}"

def test_loss_falls_on_256_photographs(tmp_path):
    start = time.time()
    learn = go(crops(tmp_path/'photos', 256, 96), tmp_path/'run', epochs=3, bs=32, lr=2e-3,
               run_args=dict(warmup=5))
    log = list(csv.DictReader((tmp_path/'run/log.csv').open()))
    assert float(log[-1]['valid_loss'])<0.9*float(log[0]['valid_loss'])
    assert log[-1]['photos']==str(learn.this_run.photos)
    assert time.time()-start<120

def test_the_write_ups_own_plan(tmp_path):
    """A plain U-Net on 64×64 chroma that predicts the noise of the linear schedule

    Without encoder, hints or patches."""
    net = UNetConfig(factor=1, patch=1, widths=(32,64,64), attention=(False,False,True),
                     encoder=None, hints=False)
    plan = ModelConfig(net=net, schedule=dict(kind='linear', n_steps=1000), param='eps',
                       chroma_scale=20.)
    eight = PhotoFolder(crops(tmp_path/'photos', 8))
    learn = go(Subset(eight, list(range(8))*20), tmp_path/'run', valid=eight, config=plan,
               recipe=replace(PLAIN, factor=1), weight='simple', photos=160, bs=8, lr=2e-3,
               decay=0.9, run_args=dict(warmup=5))
    losses = [float(o) for o in learn.recorder.losses]
    assert len(losses)==20 and np.mean(losses[-5:])<0.9*np.mean(losses[:5])

def test_one_step_of_pure_noise_learns_the_mean(tmp_path):
    """The plain regression: noise in, the mean out

    It colors with one step, and ignores the seed once trained on it."""
    eight = PhotoFolder(crops(tmp_path/'photos', 8))
    learn = go(Subset(eight, list(range(8))*100), tmp_path/'run', config=None, valid=eight, bs=8,
               recipe=replace(PLAIN, min_crop=1.), photos=8*120, lr=3e-3, decay=0.9,
               settings=dict(n_steps='1', widths='32,64,64'), run_args=dict(warmup=10))
    losses = [float(o) for o in learn.recorder.losses]
    assert np.mean(losses[-10:])<0.6*np.mean(losses[:5])
    c = Colorizer.from_pretrained(tmp_path/'run/model.safetensors')
    L = next(iter(learn.dls.valid))[0][:1]
    cond,f = c.condition(L),c.net.cfg.factor
    shape = (1, c.net.cfg.channels, L.shape[2]//f, L.shape[3]//f)
    noise = [randn(shape, torch.Generator().manual_seed(s)) for s in (1,2)]
    with torch.no_grad():
        a,b = [c.denoise(o, c.schedule.timesteps[-1:], cond).float() for o in noise]
    assert (a-b).square().mean()<0.1*a.square().mean(), "two noises, one mean"
    c.colorize(np.zeros((64,64), np.uint8)) # as many steps as there are
    with pytest.raises(ValueError, match='1..1'): c.colorize(np.zeros((64,64), np.uint8), steps=4)

def test_a_resumed_run_keeps_what_is_not_named(tmp_path):
    """Seed, batch size, examples, learning rate and averaging

    What is named wins, but never another seed or other photographs."""
    photos = pictures(16)
    first = train(photos, tmp_path/'run', photos=16, bs=8, lr=1e-3, decay=0.9, seed=3,
                  settings=dict(no_hints='0.2'), **BRIEF)
    go_on = partial(train, out=tmp_path/'run', valid=BRIEF['valid'], resume=True, num_workers=0,
                    bar=False)
    kept = lambda o: (o.dls.train.global_bs, o.dls.train.seed, o.this_run.lr, o.ema.decay,
                      o.dls.train_ds.recipe, hasattr(o, 'bf16'))
    recipe = replace(PLAIN, no_hints=0.2)
    assert kept(go_on(photos, photos=24))==kept(first)==(8, 3, 1e-3, 0.9, recipe, False)
    other = go_on(photos, photos=32, lr=2e-3, settings=dict(size='32'))
    assert kept(other)[2:5]==(2e-3, 0.9, replace(recipe, size=32))
    with pytest.raises(ValueError, match='a run of seed 3, got 4'): go_on(photos, photos=40, seed=4)
    with pytest.raises(ValueError, match='a run of number of photographs 16, got 15'):
        go_on(photos[1:], photos=40)

def test_a_resumed_run_learns_from_no_other_photographs(tmp_path):
    "As many under other names are refused: what was learned from would be watched"
    data = crops(tmp_path/'photos', 12, 64)
    run = partial(train, out=tmp_path/'run', bs=4, **{**BRIEF, 'valid': None})
    run(data, photos=4)
    shutil.copytree(data, tmp_path/'moved')
    assert run(tmp_path/'moved', photos=8, resume=True).this_run.photos==8
    (data/'011.png').rename(data/'-new.png')
    with pytest.raises(ValueError, match='run holds a run of other photographs'):
        run(data, photos=12, resume=True)
    state = torch.load(tmp_path/'run/state.pt')
    del state['names'],state['watched'] # as earlier versions wrote it
    torch.save(state, tmp_path/'run/state.pt')
    run(data, photos=12, resume=True)

@pytest.mark.parametrize('name', ['model.safetensors', 'log.csv'])
def test_a_new_run_overwrites_nothing(tmp_path, name):
    "A folder that holds a model, or another program's log"
    (tmp_path/'run').mkdir()
    (tmp_path/'run'/name).write_text('precious')
    with pytest.raises(FileExistsError, match=f'already holds {name}'):
        train(pictures(4), tmp_path/'run', photos=4, **BRIEF)
    assert [o.read_text() for o in (tmp_path/'run').iterdir()]==['precious']

def test_a_resumed_run_does_not_begin_to_tune(tmp_path):
    "Nor does it stop to: the optimizer's state has other groups of parameters"
    data = crops(tmp_path/'photos', 4, 64)
    for first,then in (('0', '0.1'), ('0.1', '0')):
        run = partial(go, data, tmp_path/first, bs=4)
        run(photos=4, settings=dict(tune=first))
        with pytest.raises(ValueError, match=f'a run of tune=0.*, got tune={then}.*: a resumed'):
            run(photos=8, resume=True, settings=dict(tune=then))
    assert run(photos=8, resume=True, settings=dict(tune='0.2')).lr_shares==(0.2,1.)

def test_sampling_may_change(tmp_path):
    "What previews need is tried before; a run that was begun with what fails goes on with another"
    run = partial(train, pictures(4), tmp_path/'run', bs=4, **BRIEF)
    with pytest.raises(ValueError, match='last_step=5.0'):
        run(photos=4, settings=dict(last_step='5'))
    assert not (tmp_path/'run').exists()
    run(photos=4)
    state = torch.load(tmp_path/'run/state.pt')
    state['config']['sampling']['last_step'] = 5.
    torch.save(state, tmp_path/'run/state.pt')
    with pytest.raises(ValueError, match='last_step=5.0'): run(photos=8, resume=True)
    learn = run(photos=8, resume=True, settings=dict(last_step='0.1'))
    assert learn.diffusion.config.sampling.last_step==0.1

class Seen(list):
    "Pictures that remember which of them were asked for"
    def __init__(self, pictures):
        super().__init__(pictures)
        self.asked = []
    def __getitem__(self, i):
        self.asked.append(i)
        return super().__getitem__(i)

@pytest.mark.parametrize('bs,left', [(2,8), (16,4)])
def test_another_batch_size_in_mid_epoch(tmp_path, bs, left):
    "No photograph twice in the epoch, and none left out while they come in batches that fit"
    photos = Seen(pictures(20))
    train(photos, tmp_path/'run', photos=12, bs=4, **BRIEF)
    learn = train(photos, tmp_path/'run', photos=12+left, bs=bs, resume=True, **BRIEF)
    epoch = photos.asked[:12+left]
    assert len(set(epoch))==len(epoch)
    assert (learn.this_run.epoch0, learn.this_run.batch)==(1, 0)

def test_larger_batches_leave_nothing_of_the_epoch(tmp_path):
    photos = pictures(20)
    train(photos, tmp_path/'run', photos=12, bs=4, **BRIEF)
    assert train(photos, tmp_path/'run', photos=32, bs=32, resume=True, **BRIEF).this_run.epoch0==2

def test_chroma_scale_is_measured(tmp_path):
    "Over photographs spread evenly, as they are in the first epoch; a resumed run keeps it"
    class Recorded(list):
        def __getitem__(self, i):
            self.asked.append(i)
            return super().__getitem__(i)
    examples = Recorded(pictures(9))
    examples.asked = []
    found = chroma_std(ColorizationDataset(examples, PLAIN), n=5)
    assert examples.asked==[0, 2, 4, 6, 8]
    ab = [ColorizationDataset(examples, PLAIN)[i,0,0][2] for i in (0, 2, 4, 6, 8)]
    assert found==pytest.approx(torch.stack(ab).square().mean().sqrt().item(), rel=1e-5)
    run = lambda **kwargs: train(pictures(4), tmp_path/'run', bs=4, **{**BRIEF, 'config': None},
        settings=dict(widths='32,32', attention='0,1', groups='8', encoder='none'), **kwargs)
    first = run(photos=4)
    scale = round(chroma_std(first.dls.train_ds), 2)
    assert first.diffusion.config.chroma_scale==scale!=20
    assert run(photos=8, resume=True).diffusion.config.chroma_scale==scale

def test_what_cannot_be_is_refused_at_once(tmp_path):
    run = partial(train, pictures(4), tmp_path/'run')
    absent = 'cuda' if torch.backends.mps.is_available() else 'mps' # no machine has both
    for budget,word in ((dict(photos=0), 'photos=0'), (dict(photos=-5), 'photos=-5'),
                        (dict(hours=0.), 'hours=0.0'), (dict(epochs=math.nan), 'epochs=nan'),
                        (dict(epochs=math.inf), 'epochs=inf')):
        with pytest.raises(ValueError, match=f'one budget above 0, got .*{word}'):
            run(**budget, **BRIEF)
    with pytest.raises(ValueError, match='one budget above 0'): run(photos=4, epochs=1, **BRIEF)
    for wrong,said in ((dict(bs=0), 'bs must be at least 1, got 0'),
                       (dict(bs=0, resume=True), 'bs must be at least 1, got 0'),
                       (dict(num_workers=-1), 'num_workers must be at least 0, got -1'),
                       (dict(seed=-1), 'seed must be at least 0, got -1'),
                       (dict(seed=2**64), r'seed must be below 2\*\*64'),
                       (dict(device=absent), f'device {absent}: this machine has none')):
        with pytest.raises(ValueError, match=said): run(photos=4, **{**BRIEF, **wrong})
    with pytest.raises(ValueError, match='two photographs to share, got 1.*valid'):
        train(pictures(1), tmp_path/'run', photos=4, **{**BRIEF, 'valid': None})
    with pytest.raises(ValueError, match='no photograph'): chroma_std([])
    data = crops(tmp_path/'photos', 1)
    for photographs in (dict(data=data), dict(data=pictures(4), valid=PhotoFolder(data))):
        with pytest.raises(ValueError, match='a folder of its own'):
            train(out=data, photos=4, **{**BRIEF, **photographs})
    assert not (tmp_path/'run').exists()

def test_numbers_of_numpy_are_numbers(tmp_path):
    "The run ends, and its state can be read: it is resumed"
    numbers = dict(seed=np.int64(3), bs=np.int64(4), num_workers=np.int8(0), lr=np.float64(1e-3),
                   settings=dict(wd=np.float64(0.02), chroma_scale=np.float32(16)),
                   clip=np.float32(1),
                   recipe=replace(PLAIN, size=np.int64(64), min_crop=np.float64(0.5)),
                   config=replace(NO_ENCODER, training=dict(by=np.int64(1))))
    run = partial(train, pictures(8), tmp_path/'run', **{**BRIEF, **numbers})
    run(photos=np.int64(8), run_args=dict(warmup=np.int64(2)))
    again = run(photos=16, resume=True)
    assert again.this_run.photos==16 and again.dls.train.seed==3 and again.wd==0.02
    for wrong in (1.5, '1'):
        with pytest.raises(ValueError, match=f'seed must be an integer, got {wrong!r}'):
            train(pictures(4), tmp_path/'other', photos=4, seed=wrong, **BRIEF)

def test_one_process_is_no_part_of_several(tmp_path, monkeypatch):
    "A rank that is left in the environment would keep the run from saving anything"
    monkeypatch.setenv('RANK', '1')
    with pytest.raises(ValueError, match='the environment says RANK=1'):
        train(pictures(4), tmp_path/'run', photos=4, **BRIEF)
    assert not (tmp_path/'run').exists()

def test_folders_without_photographs(tmp_path):
    with pytest.raises(ValueError, match='not a folder'):
        go(tmp_path/'none', tmp_path/'run', photos=8)
    (tmp_path/'empty').mkdir()
    with pytest.raises(ValueError, match='no color photograph'):
        go(tmp_path/'empty', tmp_path/'run', photos=8)
