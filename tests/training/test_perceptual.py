"The perceptual distance against NumPy, and its part in what is learned from"
from dataclasses import replace
import numpy as np, pytest, torch
from skimage import data
from colorized.model.encoder import encoder_input, load_pretrained
from colorized.training.perceptual import perceptual_distance
from colorized.training.train import train
from fastai.callback.core import Callback
from training_helpers import BRIEF, NO_ENCODER, PLAIN, pictures

def test_distance_is_the_formula():
    encoder = load_pretrained()
    true = torch.from_numpy(data.coffee()[:128,:128].copy()).permute(2,0,1)[None]/255.
    rgb = torch.cat([true, true.flip(1), 0.8*true])
    true = true.expand(3,-1,-1,-1)
    with torch.no_grad():
        features = [encoder.features(encoder_input(o)) for o in (rgb, true)]
        found = perceptual_distance(encoder, rgb, true)
    assert set(features[0])=={8,16,32}
    expected = 0
    for s in (8,16,32):
        a,b = [o[s].double().numpy() for o in features]
        a,b = [o/np.linalg.norm(o, axis=1, keepdims=True) for o in (a, b)]
        expected = expected + ((a-b)**2).sum(1).mean((1,2))
    assert found.numpy()==pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert found[0]<1e-9 and found[1]>found[2]>1e-3

class Added(Callback):
    order = 99
    def __init__(self): self.seen = []
    def after_loss(self): self.seen.append((self.training, (self.loss_grad-self.loss).item()))

@pytest.mark.parametrize('factor,size,small', [(1,256,128), (4,640,0)])
def test_examples_of_any_size(tmp_path, factor, size, small):
    "They are made smaller for it, but not smaller than their chroma"
    net = replace(NO_ENCODER, net=replace(NO_ENCODER.net, factor=factor, widths=(8,8), groups=4))
    recipe = replace(PLAIN, size=size, small=small, small_share=0.5, factor=factor)
    learn = train(pictures(2), tmp_path/'run', photos=2, bs=1, perceptual=0.2,
                  **{**BRIEF, 'config': net, 'recipe': recipe, 'valid': pictures(1)})
    assert learn.this_run.photos==2 and learn.dls.train_ds.size==size

def test_it_is_learnt_from_and_not_reported(tmp_path):
    "Twice the weight adds twice as much; the reported loss stays; validation has none of it"
    runs,added = [],[]
    for w in ('0', '0.5', '1'):
        watch = Added()
        runs.append(train(pictures(2), tmp_path/w, photos=2, bs=2, settings=dict(perceptual=w),
                          cbs=[watch], **BRIEF))
        added.append(watch.seen)
    assert all(o==(False, 0) for seen in added for o in seen[1:])
    none,half,whole = [seen[0][1] for seen in added]
    assert none==0 and half>0.01 and whole==pytest.approx(2*half, rel=1e-4)
    assert len({o.recorder.losses[0].item() for o in runs})==1
    with pytest.raises(ValueError, match='perceptual must not be negative'):
        train(pictures(2), tmp_path/'never', photos=2, settings=dict(perceptual='-1'), **BRIEF)
