"`faces.py` of benchmarks: which faces are right, and how sure a difference is"
import sys
from pathlib import Path
import numpy as np, pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'benchmarks'))
import faces

def chroma(strength, degrees):
    return np.array([strength*np.cos(np.radians(degrees)), strength*np.sin(np.radians(degrees))])

def test_faces_are_told_apart_by_strength_and_hue():
    want = np.stack([chroma(20, 50)]*5+[chroma(7, 50)])
    ab = np.stack([chroma(5, 50),   # gray, though of the right hue
                   chroma(10, 75),  # right
                   chroma(10, 88),  # neither right nor wrong
                   chroma(10, 5.1), # the same on the other side
                   chroma(10, 100), # wrong
                   chroma(10, 50)]) # its true color is nearly gray: does not count
    became,known = faces.judged(ab, want)
    assert became['gray'].tolist()==[True, False, False, False, False, False]
    assert became['right'].tolist()==[False, True, False, False, False, True]
    assert became['wrong'].tolist()==[False, False, False, False, True, False]
    assert known.tolist()==[True]*5+[False]

@pytest.fixture
def crowd():
    "20 photographs of 20 faces: those that are drawn in their color, and which gray"
    want = np.stack([chroma(20, 50)]*400)
    return want,np.repeat(np.arange(20), 20)

def test_a_difference_counts_each_face_that_counts(crowd):
    want,photograph = crowd
    gray,half = want*0,np.where(photograph[:,None]%2, want, want*0)
    want = want.copy()
    want[::4] = chroma(5, 50)[None] # a quarter does not count
    d,low,high = faces.difference(half, gray, want, photograph)['right']
    assert d==pytest.approx(0.5)
    assert 0.2<low<d<high<0.8
    assert faces.difference(half, gray, want, photograph)['gray'][0]==pytest.approx(-0.5)

def test_faces_of_one_photograph_are_one_observation(crowd):
    want,photograph = crowd
    gray = want*0
    one_crowd = np.where(photograph[:,None]==3, want, gray)
    one_of_each = np.where(np.arange(400)[:,None]%20==3, want, gray)
    d,low,_ = faces.difference(one_crowd, gray, want, photograph)['right']
    assert d==pytest.approx(0.05) and low==0
    d,low,_ = faces.difference(one_of_each, gray, want, photograph)['right']
    assert d==pytest.approx(0.05) and low==pytest.approx(0.05)
