"Color versions in manifests: valid, named, and nothing else changed"
import copy, time
import pytest
from colorized.iiif.choice import (
    LABELS, find_languages, finish_manifest, labels, rights_remark, validity_remark)
from colorized.iiif.manifest import find_pictures, read_manifest
from manifest_samples import (
    MANIFESTS, U, colored, counting, painted_bodies, prezi3_manifest, read, v2_manifest, valid)
from museum import V3, canvas

BASE = 'https://example.org/color'

@pytest.mark.parametrize('path', MANIFESTS, ids=lambda p: p.stem)
def test_manifests_of_institutions_become_valid_choices(path):
    m = read_manifest(path, None, counting())
    n = sum(len(p['items']) for c in m['items'] for p in c['items'])
    new,found = colored(m)
    assert sum(len(p.places) for p in found)==n and valid(new)
    choices = [a['body'] for c in new['items'] for p in c['items'] for a in p['items']]
    assert len(choices)==n
    for b in choices:
        assert b['type']=='Choice' and [o['type'] for o in b['items']]==['Image', 'Image']

def test_version_3_is_carried_over(tmp_path):
    "Take the choice away again, and nothing has changed"
    old = prezi3_manifest()
    old['items'][0]['x-museum'] = {'shelf': [17, None]} # what no program knows
    new,found = colored(read(old, tmp_path))
    assert valid(new) and len(found)==2 and new['@context']==V3
    assert new['seeAlso'].pop()['id']=='https://example.org/original.json'
    assert 'invented' in new['metadata'].pop()['value']['en'][0]
    assert new['id']==f'{BASE}/manifest.json'
    new['id'] = old['id']
    for c,was in zip(new['items'], old['items']):
        anno,before = c['items'][0]['items'][0],was['items'][0]['items'][0]
        first,second = anno['body']['items']
        assert first.pop('label')=={'en': ['Original'], 'fr': ['Original']}
        assert set(second['label'])=={'en', 'fr'}
        assert anno['id'].startswith(f'{BASE}/annotation/')
        said = {m['label']['en'][0]: [*m['value'].values()][0][0] for m in second['metadata']}
        assert said['Model, SHA-256']=='cd'*32 and said['Original, SHA-256']=='ab'*32
        assert said['Seed, steps']=='0, 4'
        assert said['Original']==before['body']['service'][0]['id']
        source_types = 'http://cv.iptc.org/newscodes/digitalsourcetype/'
        assert said['Digital source type'].startswith(source_types)
        tree = second['id'].removeprefix(f'{BASE}/color/').removesuffix('.jpg')
        service = dict(id=f'{BASE}/tiles/{tree}', type='ImageService3', profile='level0')
        assert second['service']==[service]
        anno.update(id=before['id'], body=first)
    assert new==old

def test_canvases_that_are_no_photographs(tmp_path):
    """Video, text and cut-outs are left alone, each with a remark that names its canvas; a choice
    gets one more; a picture shown twice is fetched once"""
    images = [dict(id=f'{U}/a.jpg', type='Image', label={'en': ['Daylight']}),
              dict(id=f'{U}/b.jpg', type='Image', label={'en': ['Ultraviolet']})]
    doc = {'@context': V3, 'id': f'{U}/m.json', 'type': 'Manifest', 'label': {'en': ['Mixed']},
           'items': [canvas(U, i, dict(id=f'{U}/c.jpg')) for i in range(5)]}
    bodies = [dict(id=f'{U}/film.mp4', type='Video', format='video/mp4', duration=3),
              dict(type='TextualBody', value='Here begins'), dict(type='Choice', items=images)]
    for c,b in zip(doc['items'], bodies): c['items'][0]['items'][0]['body'] = b
    m = read(doc, tmp_path)
    others = find_pictures(m)[1]
    assert len(others)==2
    assert f'{U}/canvas/0' in others[0] and 'Video' in others[0]
    assert f'{U}/canvas/1' in others[1] and 'TextualBody' in others[1]
    new,found = colored(m)
    assert valid(new)
    assert [(p.key, len(p.places)) for p in found]==[(f'{U}/a.jpg', 1), (f'{U}/c.jpg', 2)]
    kinds = [b['type'] for b in painted_bodies(new)]
    assert kinds==['Video', 'TextualBody', 'Choice', 'Choice', 'Choice']
    names = [[*o['label'].values()][0][0][:8] for o in painted_bodies(new)[2]['items']]
    assert names==['Daylight', 'Ultravio', 'Color ve']
    ids = [c['items'][0]['items'][0]['id'] for c in new['items']]
    assert len(set(ids))==5

def test_a_manifest_without_color_versions_says_nothing_of_them(tmp_path):
    "It still is another one, and one made from itself does not point at itself"
    old = read(prezi3_manifest(), tmp_path)
    new = finish_manifest(copy.deepcopy(old), 'album.json', BASE, 0)
    assert new['metadata']==old['metadata'] and new['id']==f'{BASE}/manifest.json'
    assert new['seeAlso'][-1]['id']==old['id'] # a file has no address: the manifest's own
    assert finish_manifest(new, 'manifest.json', BASE, 0)['seeAlso']==new['seeAlso']
    one,two = (finish_manifest(old, U, BASE, n)['metadata'][-1]['value']['en'][0] for n in (1, 2))
    assert 'of 1 picture were' in one and 'of 2 pictures were' in two

def test_a_colored_manifest_is_colored_once_more(tmp_path):
    "What is offered already is not offered twice, and noted once"
    once,_ = colored(read(prezi3_manifest(), tmp_path))
    twice,_ = colored(read(copy.deepcopy(once), tmp_path))
    assert valid(twice) and painted_bodies(twice)==painted_bodies(once)
    assert twice['metadata']==once['metadata']

def test_contexts_of_others_are_kept(tmp_path):
    "That of version 3 comes last, once, and those that it contains go"
    extension = 'http://iiif.io/api/extension/navplace/context.json'
    m = prezi3_manifest()
    m['@context'] = ['http://www.w3.org/ns/anno.jsonld', extension, V3]
    assert colored(read(m, tmp_path))[0]['@context']==[extension, V3]

def test_labels_in_the_languages_of_the_manifest():
    assert all(len(v)==2 and all(v) for v in LABELS.values())
    assert find_languages({'label': {'pt-BR': ['x']}, 'id': {'fi': ['x']}})=={'pt'}
    assert {*labels({'pt', 'tlh', 'none'}, 1)}=={'en', 'pt'}
    assert labels({'ja'}, 0)=={'en': ['Original'], 'ja': ['オリジナル']}

# Rights, and what is not valid

def test_what_is_not_valid_is_said(tmp_path):
    m = read({**prezi3_manifest(), 'rights': 'public domain'}, tmp_path)
    assert 'at rights' in validity_remark(colored(m)[0])

def test_rights_and_credit_of_a_single_picture(tmp_path):
    "They stay with it, its color version has them as well, and a refusal is repeated"
    nd = 'http://creativecommons.org/licenses/by-nd/4.0/'
    own = dict(license=nd, attribution='(c) The photographer', logo=f'{U}/p.png',
               metadata=[dict(label='Negative', value='17')])
    m = v2_manifest(tmp_path, resource=own, annotation=dict(attribution='Scan: the library'))
    assert rights_remark(m)==(f'the rights given for {U}/a.jpg are {nd}, '
                              'which allows no changed versions to be published')
    new,_ = colored(m)
    anno = new['items'][0]['items'][0]['items'][0]
    old,color = anno['body']['items']
    assert valid(new) and anno['requiredStatement']['value']=={'none': ['Scan: the library']}
    assert old['metadata'][0]['value']=={'none': ['17']}
    for o in (old, color):
        assert o['rights']==nd and o['provider'][0]['logo'][0]['id']==f'{U}/p.png'
        assert o['requiredStatement']['value']=={'none': ['(c) The photographer']}
    assert color['metadata'][0]['label']=={'en': ['Made by']}

def test_refusals_are_repeated_wherever_they_stand(tmp_path):
    nd = 'http://creativecommons.org/licenses/by-nd/4.0/'
    page = 'https://rightsstatements.org/page/InC/1.0/?language=en'
    assert rights_remark(dict(id=U, rights=page))==(
        f'the rights given are {page}: see to it that you may publish a changed version')
    # a plain no counts for more than a doubt
    both = dict(id=U, rights=page, items=[dict(id=f'{U}/canvas/1', rights=nd)])
    assert 'no changed' in rights_remark(both)
    public = v2_manifest(tmp_path, license='http://creativecommons.org/publicdomain/mark/1.0/')
    assert rights_remark(public) is None

def test_rights_inside_of_rights():
    "Only their addresses are looked at, not all the text below, again at each level"
    doc = 'x'*300_000
    for _ in range(200): doc = {'rights': doc}
    start = time.process_time()
    assert rights_remark(doc) is None and time.process_time()-start<1
    found = rights_remark({'rights': {'@id': 'http://creativecommons.org/licenses/by-nd/4.0/'}})
    assert 'no changed versions' in found
