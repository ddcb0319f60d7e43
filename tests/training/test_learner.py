"""Training: photographs are learnt by heart and grow on the way, a killed run goes on where it was, skipped steps do not count. Several processes: `test_distributed.py`."""
import csv, json, math, os, platform, signal, subprocess, sys, time
from dataclasses import replace
from functools import partial
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from fastai.callback.core import Callback, CancelStepException
from colorized import learner
from colorized.cli.main import main
from colorized.inference.colorizer import WEIGHTS, Colorizer
from colorized.training.examples import PhotoFolder, Recipe, Subset
from colorized.model.encoder import load_pretrained
from colorized.photo.lab import colorfulness
from colorized.training.learner import bare, chroma_std, ema, train
from colorized.evaluation.report import FIDCallback
from colorized.theory.samplers import randn
from colorized.model.unet import ModelConfig, UNetConfig, fast_bf16, load_model, sample_ab, save_model

torch.set_num_threads(1)
TINY = ModelConfig(net=UNetConfig(widths=(32,64,64)), chroma_scale=20.)
PLAIN = Recipe(size=64, archival=0., no_hints=1.)

def crops(folder, n, side=128):
    "`n` crops of the sample photographs of scikit-image and scikit-learn"
    from skimage import data
    from sklearn.datasets import load_sample_image
    photos = [data.chelsea(), data.coffee(), data.astronaut(), data.rocket(), load_sample_image('china.jpg'), load_sample_image('flower.jpg')]
    rng = np.random.default_rng(0); folder.mkdir()
    for i in range(n):
        crop = np.zeros((side,side,3), np.uint8)
        while colorfulness(torch.from_numpy(crop.copy()).permute(2,0,1)[None])<15: # `PhotoFolder` leaves gray ones out
            p = photos[i%len(photos)]; y,x = rng.integers(0, p.shape[0]-side),rng.integers(0, p.shape[1]-side)
            crop = p[y:y+side,x:x+side]
        Image.fromarray(crop).save(folder/f'{i:03}.png')
    return folder

def go(data, out, **kwargs):
    return train(data, out, **{**dict(valid=data, config=TINY, recipe=PLAIN, num_workers=0, bar=False, bf16=False), **kwargs})

def test_learns_eight_photographs_by_heart(tmp_path):
    data = crops(tmp_path/'photos', 8)
    recipe,eight = Recipe(size=64, archival=0., no_hints=1., min_crop=1.),PhotoFolder(data)
    learn = go(Subset(eight, list(range(8))*100), tmp_path/'run', valid=eight, recipe=recipe, photos=8*300, bs=8, lr=3e-3, decay=0.95, run_args=dict(warmup=20))
    L,_,ab = next(iter(learn.dls.valid))
    net = learn.ema.net.eval()
    with torch.no_grad(): found = sample_ab(net, TINY, net.condition(L), list(range(len(L))), steps=10)
    error,gray = (found-ab).square().mean().sqrt(),ab.square().mean().sqrt()
    assert error < 0.25*gray, f"samples miss the true chroma by {error:.1f} units, gray by {gray:.1f}"

def test_loss_falls_on_256_photographs(tmp_path):
    start = time.time()
    learn = go(crops(tmp_path/'photos', 256, 96), tmp_path/'run', epochs=3, bs=32, lr=2e-3, run_args=dict(warmup=5))
    log = list(csv.DictReader((tmp_path/'run/log.csv').open()))
    assert float(log[-1]['valid_loss']) < 0.9*float(log[0]['valid_loss']) and log[-1]['photos']==str(learn.this_run.photos)
    assert time.time()-start < 120

SCRIPT = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_learner import LONG, go
torch.set_num_threads(1)
go(Path({data!r}), Path({out!r}), **LONG)
"""
LONG = dict(photos=200, bs=8, run_args=dict(minutes=0.01))

def test_survives_kill_9(tmp_path):
    data = crops(tmp_path/'photos', 40)
    script = SCRIPT.format(tests=str(Path(__file__).parent), data=str(data), out=str(tmp_path/'killed'))
    victim = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.DEVNULL)
    state = tmp_path/'killed/state.pt'
    while not state.exists(): assert victim.poll() is None; time.sleep(0.05)
    time.sleep(0.3); victim.send_signal(signal.SIGKILL); victim.wait()
    assert victim.returncode == -signal.SIGKILL, "the run ended before it was killed"
    assert torch.load(state, weights_only=True)['photos'] < LONG['photos']
    for out in ('killed','whole'): go(data, tmp_path/out, resume=out=='killed', **LONG)
    killed,whole = [load_model(tmp_path/o/'model.safetensors')[0].state_dict() for o in ('killed','whole')]
    assert all(torch.equal(killed[k], whole[k]) for k in whole)

def test_killed_between_epochs(tmp_path):
    "The state saved after an epoch's last batch goes on with the next epoch"
    class Kill(Callback):
        order = 80 # after `RunCallback` has saved
        def after_batch(self):
            if self.training and self.learn.this_run.photos==16: raise KeyboardInterrupt
    data = crops(tmp_path/'photos', 16)
    with pytest.raises(KeyboardInterrupt): go(data, tmp_path/'killed', photos=32, bs=8, cbs=[Kill()], run_args=dict(minutes=0, decay=0))
    state = torch.load(tmp_path/'killed/state.pt', weights_only=True); assert (state['epoch0'],state['batch0'],state['photos']) == (1,0,16)
    killed,whole = go(data, tmp_path/'killed', photos=32, bs=8, resume=True, run_args=dict(decay=0)),go(data, tmp_path/'whole', photos=32, bs=8, run_args=dict(decay=0))
    assert all(torch.equal(a, b) for a,b in zip(killed.ema.net.state_dict().values(), whole.ema.net.state_dict().values()))

def test_photographs_grow(tmp_path):
    "The first part of the budget is small, also for workers; the epoch is cut where they grow; the loss that is watched, and the falling rate, belong to the full size"
    seen = []
    class Watch(Callback):
        order,run_valid = 9,True
        def before_batch(self): seen.append((self.training, self.xb[0].shape[-1]))
    recipe = replace(PLAIN, small=32, small_share=0.6)
    learn = go(crops(tmp_path/'photos', 20), tmp_path/'run', photos=40, bs=8, recipe=recipe, num_workers=1, cbs=[Watch()], run_args=dict(warmup=1, decay=0.5))
    watched = [(False,64)]*3
    assert seen == [(True,32)]*3+watched + [(True,32)]+watched + [(True,64)]*2+watched # batches of 8, 8 and 4; then 28 of 40 photographs were seen
    log = list(csv.DictReader((tmp_path/'run/log.csv').open()))
    assert [(o['epoch'],o['photos'],o['size']) for o in log] == [('0','20','32'), ('1','28','32'), ('1','40','64')]
    assert np.array(learn.recorder.lrs)/learn.this_run.lr == pytest.approx([1, 1, 1, 1, 0.5, 1-0.75**0.5]) # before the last two steps 70 and 90 % were spent, 40 % are for the decay
    off = go(tmp_path/'photos', tmp_path/'off', photos=16, bs=8, recipe=replace(recipe, small=0)); assert off.dls.train_ds.size==64 and off.this_run.size==64

class Seen(list):
    "Pictures that remember which of them were asked for"
    def __init__(self, pictures): super().__init__(pictures); self.asked = []
    def __getitem__(self, i): self.asked.append(i); return super().__getitem__(i)

def pictures(n): return [Image.fromarray(np.random.default_rng(i).integers(0, 256, (64,64,3), np.uint8)) for i in range(n)]
SMALL = dict(config=ModelConfig(net=UNetConfig(widths=(32,32), attention=(False,True), groups=8, encoder=None), chroma_scale=20.), num_workers=0, bar=False)
BRIEF = dict(SMALL, valid=pictures(2), recipe=PLAIN, bf16=False)

def test_a_resumed_run_keeps_what_is_not_named(tmp_path):
    "Seed, batch size, lessons, learning rate and averaging; what is named wins, but never another seed or other photographs"
    photos = pictures(16)
    first = train(photos, tmp_path/'run', photos=16, bs=8, lr=1e-3, decay=0.9, seed=3, settings=dict(no_hints='0.2'), **BRIEF)
    go_on = partial(train, out=tmp_path/'run', valid=BRIEF['valid'], resume=True, num_workers=0, bar=False)
    kept = lambda o: (o.dls.train.whole, o.dls.train.seed, o.this_run.lr, o.ema.decay, o.dls.train_ds.recipe, hasattr(o, 'bf16'))
    assert kept(go_on(photos, photos=24))==kept(first)==(8, 3, 1e-3, 0.9, replace(PLAIN, no_hints=0.2), False)
    other = go_on(photos, photos=32, lr=2e-3, settings=dict(size='32')); assert kept(other)[2:5]==(2e-3, 0.9, replace(PLAIN, no_hints=0.2, size=32))
    with pytest.raises(ValueError, match='a run of seed 3, got 4'): go_on(photos, photos=40, seed=4)
    with pytest.raises(ValueError, match='a run of number of photographs 16, got 15'): go_on(photos[1:], photos=40)

@pytest.mark.parametrize('bs,left', [(2,8), (16,4)])
def test_another_batch_size_in_mid_epoch(tmp_path, bs, left):
    "No photograph twice in the epoch, and none left out while they come in batches that fit"
    photos = Seen(pictures(20))
    train(photos, tmp_path/'run', photos=12, bs=4, **BRIEF)
    learn = train(photos, tmp_path/'run', photos=12+left, bs=bs, resume=True, **BRIEF)
    epoch = photos.asked[:12+left]; assert len(set(epoch))==len(epoch)
    assert (learn.this_run.epoch0, learn.this_run.batch)==(1, 0)

def test_larger_batches_leave_nothing_of_the_epoch(tmp_path):
    photos = pictures(20); train(photos, tmp_path/'run', photos=12, bs=4, **BRIEF)
    assert train(photos, tmp_path/'run', photos=32, bs=32, resume=True, **BRIEF).this_run.epoch0==2

class Press(Callback):
    "Ctrl-C"
    order = 1
    def before_batch(self):
        if self.training and self.learn.this_run.steps==1: signal.raise_signal(signal.SIGINT)

class Deaf(list):
    def __getitem__(self, i): assert signal.getsignal(signal.SIGINT)==signal.SIG_IGN; return super().__getitem__(i)

def test_ctrl_c_saves_what_was_learnt(tmp_path):
    "The batch is finished and the state saved; helpers do not hear it"
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt): train(Deaf(pictures(16)), tmp_path/'run', photos=16, bs=4, cbs=[Press()], **{**BRIEF, 'num_workers': 1})
    assert learner.read_state(tmp_path/'run')['photos']==8 and signal.getsignal(signal.SIGINT)==before

def test_ctrl_c_while_helpers_are_being_born(tmp_path):
    "One line, 130 and a state, also for a whole group of processes"
    data = crops(tmp_path/'photos', 12, 64)
    args = ['train', '--data', data, '--out', tmp_path/'run', '--photos', 10**6, '--size', 64, '--small', 0, '--bs', 8, '--workers', 2, '--threads', 1, '--device', 'cpu',
            '--set', 'widths=32,32', 'attention=0,1', 'groups=8', 'encoder=none', 'bf16=0']
    p = subprocess.Popen([sys.executable, '-c', 'import sys; from colorized.cli.main import main; sys.exit(main())', *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    log = tmp_path/'run/log.csv'
    while not (log.exists() and len(log.read_text().splitlines())>2): assert p.poll() is None, p.stderr.read(); time.sleep(0.002)
    os.killpg(p.pid, signal.SIGINT)
    _,err = p.communicate(timeout=60)
    assert p.returncode==130 and err.splitlines()[-1]=='colorized: interrupted' and 'Traceback' not in err, err

def test_short_runs_reach_their_learning_rate(tmp_path):
    "The warm-up takes a tenth of the budget at most; no number of epochs ends a run within days"
    learn = train(pictures(20), tmp_path/'run', epochs=2, bs=2, lr=1e-3, run_args=dict(decay=0), **{**BRIEF, 'bar': True})
    assert learn.recorder.lrs==pytest.approx([1e-3/200, 5e-4, *[1e-3]*18]) and learn.n_epoch==10**6

def test_a_full_disk_leaves_no_torn_state(tmp_path, monkeypatch):
    def full(state, path): Path(path).write_bytes(b'torn'); raise RuntimeError('unexpected pos 64 vs 0')
    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(OSError, match='state.pt could not be written'): train(pictures(4), tmp_path/'run', photos=4, bs=4, **BRIEF)
    assert not list((tmp_path/'run').glob('*state*'))

class Colours(torch.nn.Module):
    name,num_features = 'colours',48
    def forward(self, rgb): return torch.nn.functional.adaptive_avg_pool2d(rgb.float()/255, 4).flatten(1)

@pytest.mark.filterwarnings('ignore:FID from')
def test_columns_that_come_later(tmp_path):
    "FID of the watched photographs, always at 256 px, when the budget is over; the log grows a column, or begins anew when it was emptied"
    again = lambda photos, **kwargs: train(pictures(8), tmp_path/'run', photos=photos, bs=8, **BRIEF, **kwargs)
    log = tmp_path/'run/log.csv'; rows = lambda: list(csv.DictReader(log.open()))
    again(8); judge = FIDCallback(lambda learn,L,gen: L.expand(-1,3,-1,-1)/100, every=5, extractor=Colours())
    again(16, resume=True, cbs=[judge]); one,two = rows()
    assert judge.photos.shape==(2,3,256,256) and one['photos']=='8' and one['fid_colours']=='' and float(two['fid_colours'])>0
    log.write_text(''); again(24, resume=True); assert [o['photos'] for o in rows()]==['24']
    with pytest.raises(ValueError, match='at least 2 photographs to watch, got 1'): train(pictures(8), tmp_path/'one', photos=8, **{**BRIEF, 'valid': pictures(1)}, cbs=[FIDCallback(None, extractor=Colours())])

def test_what_cannot_be_is_refused_at_once(tmp_path):
    for kw,word in ((dict(photos=0), 'photos=0'), (dict(photos=-5), 'photos=-5'), (dict(hours=0.), 'hours=0.0'), (dict(epochs=math.nan), 'epochs=nan')):
        with pytest.raises(ValueError, match=f'one budget above 0, got .*{word}'): train(pictures(4), tmp_path/'run', **{**BRIEF, **kw})
    with pytest.raises(ValueError, match='bs must be at least 1, got 0'): train(pictures(4), tmp_path/'run', photos=4, bs=0, **BRIEF)
    with pytest.raises(ValueError, match='size=0'): Recipe(size=0, small=0)
    with pytest.raises(ValueError, match='two photographs to share, got 1.*valid'): train(pictures(1), tmp_path/'run', photos=4, **{**BRIEF, 'valid': None})
    with pytest.raises(ValueError, match='no photograph'): chroma_std([])
    data = crops(tmp_path/'photos', 1)
    with pytest.raises(ValueError, match='a folder of its own'): train(data, data, photos=4, **BRIEF)
    assert not (tmp_path/'run').exists()

def test_a_loss_that_diverges_is_one_line(tmp_path, capsys):
    data = crops(tmp_path/'photos', 8, 64)
    assert main([str(o) for o in ['train', '--data', data, '--valid', data, '--out', tmp_path/'run', '--photos', 80, '--size', 64, '--bs', 4, '--lr', '1e30', '--workers', 0, '--threads', 1, '--device', 'cpu',
                 '--set', 'widths=32,32', 'attention=0,1', 'groups=8', 'encoder=none', 'bf16=0']])==1
    assert 'the last good state is in' in capsys.readouterr().err.splitlines()[-1]

def test_names_that_are_no_text(tmp_path):
    data = crops(tmp_path/'photos', 2, 64); odd = data/os.fsdecode(b'caf\xe9.png')
    try: (data/'000.png').rename(odd)
    except OSError: pytest.skip('this file system takes valid names only')
    for photos in (4, 8): assert train(data, tmp_path/'run', photos=photos, bs=4, resume=photos==8, **{**BRIEF, 'valid': data}).this_run.photos==photos

class SkipEveryOther(Callback):
    order = 20
    def before_step(self):
        if self.learn.this_run.steps%2: raise CancelStepException()

def test_average_ignores_skipped_steps(tmp_path):
    seen = []
    class Watch(Callback):
        order = 21
        def after_step(self): seen.append([p.detach().clone() for p in bare(self.model).unet.parameters()])
    learn = go(crops(tmp_path/'photos', 8), tmp_path/'run', photos=80, bs=8, decay=0.5, cbs=[SkipEveryOther(), Watch()])
    taken = seen[::2] # fastai fires `after_step` after skipped steps too
    average,f = [p.clone() for p in taken[0]],ema(0.5)
    for n,params in enumerate(taken[1:], 1): f(average, params, n)
    assert int(learn.ema.average.n_averaged) == len(taken) == 5
    for a,b in zip(average, learn.ema.net.unet.parameters()): torch.testing.assert_close(a, b)

def test_the_write_ups_own_plan(tmp_path):
    "A plain U-Net on 64×64 chroma that predicts the noise of the linear schedule, without encoder, hints or patches"
    plan = ModelConfig(net=UNetConfig(factor=1, patch=1, widths=(32,64,64), attention=(False,False,True), encoder=None, hints=False),
                       schedule=dict(kind='linear', n_steps=1000), param='eps', chroma_scale=20.)
    eight = PhotoFolder(crops(tmp_path/'photos', 8))
    learn = go(Subset(eight, list(range(8))*20), tmp_path/'run', valid=eight, config=plan, recipe=Recipe(size=64, factor=1, archival=0., no_hints=1.), weight='simple',
               photos=160, bs=8, lr=2e-3, decay=0.9, run_args=dict(warmup=5))
    losses = [float(o) for o in learn.recorder.losses]
    assert len(losses)==20 and np.mean(losses[-5:]) < 0.9*np.mean(losses[:5])

def test_bfloat16_only_where_it_is_native(tmp_path, monkeypatch):
    "PyTorch imitates bfloat16 where there is none, many times slower than float32"
    info = Path('/proc/cpuinfo')
    if info.exists() and platform.machine()=='x86_64':
        flags = set(info.read_text().split())
        assert 'avx512_bf16' not in flags or fast_bf16(torch.device('cpu'))
        assert flags & {'avx512bw', 'avx_ne_convert'} or not fast_bf16(torch.device('cpu'))
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation=True: including_emulation) # a T4
    assert not fast_bf16(torch.device('cuda'))
    data = crops(tmp_path/'photos', 8)
    for native in (False, True):
        monkeypatch.setattr(learner, 'fast_bf16', lambda device: native)
        assert hasattr(go(data, tmp_path/f'{native}', photos=8, bs=8, bf16=True), 'bf16')==native

def test_settings_reach_the_run(tmp_path):
    "What `--set` names changes network, schedule, lessons and optimiser, is kept by a resumed run, and stands in the checkpoint"
    data = crops(tmp_path/'photos', 16)
    settings = dict(param='v', shift='1', weight='min_snr', widths='32,64', attention='0,1', blocks='2', factor='8', patch='1', archival='0', no_hints='0.2', size='64', bf16='0')
    learn = go(data, tmp_path/'run', config=None, recipe=None, photos=16, bs=8, settings=settings)
    net,config,_ = load_model(tmp_path/'run/model.safetensors')
    assert (config.param,config.schedule['shift'],net.cfg.widths,net.cfg.blocks,net.cfg.factor,net.cfg.patch) == ('v',1.,(32,64),2,8,1)
    assert config.training['settings']==settings and config.chroma_scale!=20. and learn.diffusion.weight=='min_snr'
    assert learn.dls.train_ds.recipe==Recipe(size=64, factor=8, archival=0., no_hints=0.2) and not hasattr(learn, 'bf16')
    more = go(data, tmp_path/'run', config=None, recipe=None, photos=32, bs=8, resume=True)
    assert more.diffusion.config==learn.diffusion.config and more.diffusion.weight=='min_snr' and more.this_run.photos==32
    with pytest.raises(ValueError, match='keeps its network'): go(data, tmp_path/'run', config=None, photos=40, resume=True, settings=dict(blocks='1'))
    with pytest.raises(ValueError, match='unknown setting colour'): go(data, tmp_path/'other', photos=8, settings=dict(colour='red'))
    assert not (tmp_path/'other').exists()

def test_the_encoders_last_stages_learn(tmp_path):
    "`tune`: strides 16 and 32 move, at a tenth of the rate, in the average and in the checkpoint; what lies before does not; a run goes on"
    data = crops(tmp_path/'photos', 16)
    tuned = partial(go, data, tmp_path/'run', bs=8, lr=2e-3, decay=0.5, tune=0.1, run_args=dict(warmup=1, decay=0))
    learn,before = tuned(photos=32),load_pretrained().state_dict()
    assert [o['lr'] for o in learn.opt.hypers] == pytest.approx([2e-4, 2e-3])
    for net,dtype in ((learn.model,torch.float32), (learn.ema.net,torch.float32), (load_model(tmp_path/'run/model.safetensors')[0],torch.float16)):
        same = {k.split('.')[1] if k.startswith('stages') else k.split('.')[0]: True for k in before}
        for k,v in net.encoder.state_dict().items():
            where = k.split('.')[1] if k.startswith('stages') else k.split('.')[0]
            same[where] &= torch.equal(v.float(), before[k].to(dtype).float())
        assert same=={'stem': True, '0': True, '1': True, '2': True, '3': False, '4': False, '5': False, '6': False}
    tuned(photos=48, resume=True)
    whole = go(data, tmp_path/'whole', photos=48, bs=8, lr=2e-3, decay=0.5, tune=0.1, run_args=dict(warmup=1, decay=0)).model.state_dict()
    again = torch.load(tmp_path/'run/state.pt', weights_only=True)['model']
    assert all(torch.equal(whole[k], again[k]) for k in whole)

def test_one_step_of_pure_noise_learns_the_mean(tmp_path):
    "The plain regression: noise in, the mean out; it colours with one step, and ignores the seed once trained on it"
    eight = PhotoFolder(crops(tmp_path/'photos', 8))
    learn = go(Subset(eight, list(range(8))*100), tmp_path/'run', config=None, recipe=replace(PLAIN, min_crop=1.), valid=eight, bs=8, photos=8*120, lr=3e-3, decay=0.9,
               settings=dict(n_steps='1', widths='32,64,64'), run_args=dict(warmup=10))
    losses = [float(o) for o in learn.recorder.losses]; assert np.mean(losses[-10:]) < 0.6*np.mean(losses[:5])
    c = Colorizer.from_pretrained(tmp_path/'run/model.safetensors')
    L = next(iter(learn.dls.valid))[0][:1]; cond = c.condition(L); f = c.net.cfg.factor
    noise = [randn((1, c.net.cfg.channels, L.shape[2]//f, L.shape[3]//f), torch.Generator().manual_seed(s)) for s in (1,2)]
    with torch.no_grad(): a,b = [c.denoise(o, c.schedule.timesteps[-1:], cond).float() for o in noise]
    assert (a-b).square().mean() < 0.1*a.square().mean(), "two noises, one mean"
    with pytest.raises(ValueError, match='1..1'): c.colorize(np.zeros((64,64), np.uint8), steps=4)

def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match='not a folder'): go(tmp_path/'none', tmp_path/'run', photos=8)
    (tmp_path/'empty').mkdir()
    with pytest.raises(ValueError, match='no colour photograph'): go(tmp_path/'empty', tmp_path/'run', photos=8)

def test_command_line(tmp_path, capsys):
    data = crops(tmp_path/'photos', 16); (tmp_path/'wrong').mkdir()
    for i,p in enumerate(sorted(data.iterdir())): Image.open(p).convert('L').save(tmp_path/'wrong'/p.name)
    def run(*args):
        capsys.readouterr(); code = main([*map(str, args)])
        return code,*capsys.readouterr()
    train_ = [*map(str, ['train', '--data', data, '--valid', data, '--out', tmp_path/'run', '--bs', 8, '--size', 64, '--workers', 0, '--threads', 1, '--device', 'cpu'])]
    done = subprocess.run(['colorized', *train_, '--photos', '16', '--fid', '1'], capture_output=True, text=True); assert done.returncode==0, done.stderr
    log = list(csv.DictReader((tmp_path/'run/log.csv').open())); assert float(log[-1]['fid_lite1'])>0 and 'kid_lite1' in log[-1]
    code,_,err = run(*train_, '--photos', 32); assert code==1 and 'already holds a run' in err
    code,out,_ = run(*train_, '--photos', 32, '--resume'); assert code==0 and '32 photographs' in out
    code,out,_ = run('evaluate', '--true', data, '--model', tmp_path/'run/model.safetensors', '--steps', 1); assert code==0
    assert all(o in out for o in ('FID', 'KID', 'grey', 'mean chroma', 'truth', 'lite1'))
    figures = json.loads(run('evaluate', '--true', data, '--colorized', tmp_path/'wrong', '--json')[1])
    assert figures['columns']['colorized']['colorfulness']['value'] < 1 < figures['columns']['truth']['colorfulness']['value']
    assert run('evaluate', '--true', data)[0]==2
    model,other = tmp_path/'run/model.safetensors',tmp_path/'other.safetensors'
    teach = [*map(str, ['train', '--data', data, '--valid', data, '--out', tmp_path/'taught', '--photos', 16, '--bs', 8, '--size', 64, '--workers', 0, '--threads', 1, '--device', 'cpu'])]
    code,out,_ = run(*teach, '--start', model, '--weak', model); assert code==0 and '16 photographs' in out
    code,_,err = run(*teach, '--start', model, '--resume', '--photos', 24); assert code==1 and 'needs the same teacher' in err
    code,out,_ = run(*teach, '--start', model, '--weak', model, '--resume', '--photos', 24); assert code==0 and '24 photographs' in out
    assert load_model(tmp_path/'taught/model.safetensors')[1].training['teacher']['scale']==1.5
    net,config,_ = load_model(model); save_model(other, net, replace(config, schedule={**config.schedule, 'shift': 1.}))
    teach[teach.index(str(tmp_path/'taught'))] = str(tmp_path/'begun')
    code,out,_ = run(*teach, '--start', 'default'); assert code==0
    (mine,config,_),(packaged,its,_) = [load_model(o) for o in (tmp_path/'begun/model.safetensors', WEIGHTS/'default.safetensors')]
    assert config.gain==its.gain and all((a-b).abs().max()<0.01 for a,b in zip(mine.parameters(), packaged.parameters()))
    teach[teach.index(str(tmp_path/'begun'))] = str(tmp_path/'untaught')
    code,_,err = run(*teach, '--start', model, '--weak', other); assert code==2 and 'its schedule is' in err
    code,_,err = run(*teach, '--weak', model); assert code==2 and '--weak needs --start' in err
    assert not (tmp_path/'untaught').exists()
