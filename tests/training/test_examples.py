"Training examples: chroma and hints against slow ways, what is random and what is not"
import numpy as np, pytest, torch
from PIL import Image
from skimage import data
from skimage.color import rgb2lab
from colorized.training.examples import ColorizationDataset, Recipe, hint_mask, make_hints
from training_helpers import pictures

def test_what_cannot_be_is_refused():
    for wrong,why in ((dict(size=0, small=0), 'size=0'), (dict(small=-32), 'small=-32'),
                      (dict(min_crop=0.), 'min_crop'), (dict(min_crop=1.5), 'min_crop'),
                      (dict(archival=-.1), 'archival'), (dict(no_hints=2.), 'no_hints'),
                      (dict(small_share=1.), 'small_share'), (dict(size=100), 'size=100, fac'),
                      (dict(size=4, small=0, factor=1), 'size=4'),
                      (dict(small=4, factor=1), 'small=4')):
        with pytest.raises(ValueError, match=why): Recipe(**wrong)

def test_hints_are_the_means_of_their_cells():
    "Against a loop; half of the masks are empty, the others have cells of three sizes"
    rng,sides = np.random.default_rng(0),[]
    for _ in range(60):
        mask,s = hint_mask(16, 24, rng)
        ab = torch.randn(2,16,24)
        hints = make_hints(ab, mask, s)
        assert torch.equal(hints[2:], mask)
        sides.append(s if mask.any() else 0)
        for y in range(0, 16, s):
            for x in range(0, 24, s):
                cell = (..., slice(y, y+s), slice(x, x+s))
                expected = ab[cell].mean((1,2))*mask[0,y,x]
                assert (hints[:2][cell]-expected[:,None,None]).abs().max()<1e-5
                assert (mask[cell]==mask[0,y,x]).all()
    assert set(sides)=={0,1,2,4} and 20<sides.count(0)<40
    assert not any(hint_mask(16, 16, rng, 1.)[0].any() for _ in range(20))
    assert all(hint_mask(16, 16, rng, 0.)[0].any() for _ in range(20))

def test_chroma_is_that_of_the_means():
    "Of a square that is neither cut nor scaled, against scikit-image"
    rgb = data.coffee()[:64,:64]
    central = ColorizationDataset([Image.fromarray(rgb)], Recipe(size=64, small=0), train=False)
    L,hints,ab = central[0,5,7]
    means = rgb.reshape(16,4,16,4,3).mean((1,3))/255
    assert abs(ab.permute(1,2,0).numpy()-rgb2lab(means)[...,1:]).max()<0.05
    assert abs(L[0].numpy()-rgb2lab(rgb)[...,0]).max()<0.01 and not hints.any()

def test_archival_and_hints_are_as_often_as_the_recipe_says():
    im = pictures(1)
    whole = dict(size=32, small=0, min_crop=1.)
    never = ColorizationDataset(im, Recipe(**whole, archival=0., no_hints=1.))
    always = ColorizationDataset(im, Recipe(**whole, archival=1., no_hints=0.))
    clean = [never[0,0,e] for e in range(12)]
    assert not any(o[1].any() for o in clean) and all(always[0,0,e][1].any() for e in range(12))
    # of the whole square there are two views, it and its mirror image
    assert len({o[0].numpy().tobytes() for o in clean})==2
    assert len({always[0,0,e][0].numpy().tobytes() for e in range(12)})==12

def test_key_decides():
    "Seed, epoch and number of the photograph: the same example, whatever came before"
    examples = ColorizationDataset(pictures(3), Recipe(size=32, small=0))
    first = examples[1,2,3]
    for other in ((0,2,3), (1,0,3), (1,2,0)):
        assert not torch.equal(examples[other][2], first[2])
    assert all(torch.equal(a, b) for a,b in zip(examples[1,2,3], first))
    assert all(torch.equal(a, b) for a,b in zip(examples[1], examples[1,0,0])) # a bare number
