"Manifests of version 2: those of institutions, and odd ones"
import json, time
import pytest
from colorized.iiif.choice import rights_remark
from colorized.iiif.fetch import IIIFError
from colorized.iiif.manifest import find_pictures, read_manifest
from colorized.iiif.v2 import to_v3
from manifest_samples import FOLDER, MANIFESTS, U, colored, counting, v2_manifest, valid

def facts(m):
    "What two programs that turn version 2 into 3 should agree on"
    def id(o): return o.get('@id') or o.get('id')
    def listed(v): return v if isinstance(v, list) else [v] if v else []
    def tree(r):
        items = [tree(o) if o['type']=='Range' else id(o) for o in r.get('items', [])]
        return [id(r), items]
    def page(c):
        has_label = any(map(any, (c.get('label') or {}).values()))
        bodies = [b for p in c['items'] for a in p['items'] for b in listed(a['body'])]
        services = [id(s) for b in bodies for s in listed(b.get('service'))]
        return dict(id=c['id'], size=[c.get('width'), c.get('height')],
                    label=c['label'] if has_label else None, services=services)
    return dict(
        id=m['id'],
        label=m['label'],
        credit=m.get('requiredStatement', {}).get('value'),
        summary=m.get('summary'),
        seeAlso=[id(o) for o in m.get('seeAlso', [])],
        rendering=[id(o) for o in m.get('rendering', [])],
        canvases=[page(c) for c in m['items']],
        ranges=[tree(r) for r in m.get('structures', [])])

@pytest.mark.parametrize('path', MANIFESTS, ids=lambda p: p.stem)
def test_version_2_as_another_program_reads_it(path):
    got = facts(read_manifest(path, None, counting()))
    want = json.loads((FOLDER/'expected.json').read_text('utf-8'))[path.name]
    # it makes up canvases for a second sequence, which becomes a range at the end in ours,
    want['canvases'] = [c for c in want['canvases'] if c['size']!=[None, None]]
    got['ranges'] = got['ranges'][:len(want['ranges'])]
    if path.stem=='ghent': # and drops what a sequence says of itself
        sequence = json.loads(path.read_text('utf-8'))['sequences'][0]
        want['rendering'] = [sequence['rendering'][0]['@id']]
    want.pop('direction')
    assert got==want

def test_slips_of_version_2_that_lose_nothing(tmp_path):
    "A language that is none, and a size that is written as a fraction"
    value = {'@value': 'v', '@language': 5}
    m = v2_manifest(tmp_path, canvas=dict(width='100.0', height=70.0),
                    metadata=[dict(label='a', value=value)])
    assert m['metadata']==[dict(label={'none': ['a']}, value={'none': ['v']})]
    assert (m['items'][0]['width'], m['items'][0]['height'])==(100, 70)
    assert colored(m)[0]['items'][0]['width']==100
    for size,why in ('wide', 'not a valid manifest'),(float('inf'), 'Infinity is no number'):
        with pytest.raises(IIIFError, match=why):
            v2_manifest(tmp_path, canvas=dict(width=size))

def test_rights_and_links_of_version_2():
    get = lambda name: read_manifest(FOLDER/f'{name}.json', None, counting())
    assert get('ghent')['rights']=='http://rightsstatements.org/vocab/UND/1.0/'
    assert 'see to it' in rights_remark(get('ghent'))
    tokyo = get('tokyo')
    assert tokyo['rights']=='http://creativecommons.org/licenses/by-sa/4.0/'
    assert tokyo['viewingDirection']=='right-to-left' and tokyo['behavior']==['paged']
    assert not rights_remark(tokyo)
    logo = 'https://dzkimgs.l.u-tokyo.ac.jp/iiif/zuzoubu/satlogo80.png'
    assert tokyo['provider'][0]['logo'][0]['id']==logo
    getty = get('getty') # a license that version 3 does not know must not get lost
    license = {'none': ['http://www.getty.edu/legal/copyright.html#oc']}
    assert 'rights' not in getty
    assert getty['metadata'][-1]=={'label': {'en': ['License']}, 'value': license}
    assert getty['homepage'][0]['id'].endswith('la-surprise-french-1718-1719/')
    assert getty['partOf'][0]['id']=='http://www.getty.edu/art/collection/'
    assert get('dublin')['items'][0]['service'][0]['physicalUnits']=='in'

def test_what_a_sequence_says_is_not_lost(tmp_path):
    "Version 3 has no sequences: the manifest says it instead, after what it says itself, and once"
    said = dict(
        attribution='The photographer',
        license='http://creativecommons.org/licenses/by/4.0/',
        logo=f'{U}/s.png',
        description='Glass negatives',
        thumbnail=f'{U}/s.jpg',
        related=f'{U}/s.html',
        seeAlso=f'{U}/s.xml',
        metadata=[dict(label='Box', value='17')],
        service={'@context': 'http://iiif.io/api/search/1/context.json', '@id': f'{U}/search',
                 'profile': 'http://iiif.io/api/search/1/search'},
        rendering={'@id': f'{U}/s.pdf', 'format': 'application/pdf', 'label': 'Download'})
    alone = v2_manifest(tmp_path, sequence=said)
    assert alone==v2_manifest(tmp_path, **said)==v2_manifest(tmp_path, sequence=said, **said)
    assert alone['requiredStatement']['value']=={'none': ['The photographer']}
    assert alone['rights']==said['license'] and alone['rendering'][0]['id']==f'{U}/s.pdf'
    own = dict(attribution='The museum', license='http://creativecommons.org/licenses/by-nc/4.0/',
               metadata=[dict(label='Date', value='1910')], seeAlso=f'{U}/m.xml')
    both = v2_manifest(tmp_path, sequence=said, **own)
    assert both['requiredStatement']['value']=={'none': ['The museum', 'The photographer']}
    assert [o['id'] for o in both['seeAlso']]==[f'{U}/m.xml', f'{U}/s.xml']
    assert both['rights'].endswith('by-nc/4.0/')
    assert [m['label'] for m in both['metadata']]==[
        {'none': ['Date']}, {'none': ['Box']}, {'en': ['License']}]
    assert valid(colored(alone)[0]) and valid(colored(both)[0])

def test_empty_texts_and_licences(tmp_path):
    metadata = [dict(label='Date', value={'@value': None, '@language': 'en'}),
                dict(label='Place', value=None)]
    m = v2_manifest(tmp_path, license='', logo='', metadata=metadata)
    assert not {'rights', 'provider'} & {*m}
    assert [o['value'] for o in m['metadata']]==[{'en': ['']}, {'none': ['']}]
    assert valid(colored(m)[0])

@pytest.mark.parametrize('logo', ['http://[host]/logo.png', '/logo.png'])
def test_a_logo_without_a_host(tmp_path, logo):
    m = v2_manifest(tmp_path, logo=[logo, f'{U}/logo.png'], attribution='The museum')
    assert m['provider'][0]['id']==f'{U}/' and len(m['provider'][0]['logo'])==1
    m = v2_manifest(tmp_path, logo=logo)
    assert 'provider' not in m and valid(colored(m)[0])

def test_services_of_version_2(tmp_path):
    "One of version 3 in its midst keeps its words; doors are known by what they are for"
    service = {'id': f'{U}/iiif/a', 'type': 'ImageService3', 'profile': 'level2'}
    m = v2_manifest(tmp_path, resource=dict(service=service))
    assert find_pictures(m)[0][0].key==f'{U}/iiif/a' and valid(colored(m)[0])
    doors = [{'@id': f'{U}/{k}', 'profile': f'http://iiif.io/api/auth/1/{k}'}
             for k in ('login', 'token', 'logout')]
    service = {'@context': 'http://iiif.io/api/image/2/context.json', '@id': f'{U}/iiif/a',
               'profile': 'http://iiif.io/api/image/2/level2.json', 'service': doors}
    m = v2_manifest(tmp_path, resource=dict(service=service))
    kinds = [o['@type'] for o in find_pictures(m)[0][0].service['service']]
    assert kinds==['AuthCookieService1', 'AuthTokenService1', 'AuthLogoutService1']
    assert valid(colored(m)[0])

def test_a_picture_named_by_its_service_alone(tmp_path):
    service = {'@context': 'http://iiif.io/api/image/2/context.json', '@id': f'{U}/iiif/a/'}
    m = v2_manifest(tmp_path, resource={'@id': '', 'service': service})
    body = m['items'][0]['items'][0]['items'][0]['body']
    assert body['id']==f'{U}/iiif/a/full/full/0/default.jpg' and valid(colored(m)[0])

def test_targets_of_version_2(tmp_path):
    selector = {'@type': 'oa:FragmentSelector', 'value': 'xywh=0,0,50,80'}
    part = {'@type': 'oa:SpecificResource', 'full': f'{U}/canvas/1', 'selector': selector}
    whole = f'{U}/canvas/1'
    cases = ((part, f'{whole}#xywh=0,0,50,80'), ({'full': {'@id': whole}}, whole), (None, whole))
    for on,target in cases:
        m = v2_manifest(tmp_path, annotation=dict(on=on))
        assert m['items'][0]['items'][0]['items'][0]['target']==target

def test_choices_and_parts_of_version_2(tmp_path):
    "A choice keeps its order, nothing is nothing; a part of a picture is said with its selector"
    choice = {'@type': 'oa:Choice', 'default': {'@id': f'{U}/a.jpg', '@type': 'dctypes:Image'},
              'item': ['rdf:nil', {'@id': f'{U}/b.jpg', '@type': 'dctypes:Image'}]}
    m = v2_manifest(tmp_path, annotation=dict(resource=choice))
    body = m['items'][0]['items'][0]['items'][0]['body']
    assert body['type']=='Choice' and [o['id'] for o in body['items']]==[f'{U}/a.jpg', f'{U}/b.jpg']
    selector = {'@type': 'iiif:ImageApiSelector', '@context': 'x', 'region': '0,0,9,9'}
    part = {'@id': f'{U}/part', '@type': 'oa:SpecificResource', 'full': f'{U}/a.jpg',
            'selector': selector}
    m = v2_manifest(tmp_path, annotation=dict(resource=part))
    assert m['items'][0]['items'][0]['items'][0]['body']==dict(
        id=f'{U}/part', type='SpecificResource', source=dict(id=f'{U}/a.jpg', type='Image'),
        selector=dict(type='ImageApiSelector', region='0,0,9,9'))
    assert 'SpecificResource' in find_pictures(m)[1][0]

def test_hints_and_parents_of_version_2(tmp_path):
    "Only what version 3 knows: no range says that it is the top, or whose part it is"
    contents = {'@id': f'{U}/r', '@type': 'sc:Range', 'label': 'x', 'viewingHint': 'top',
                'within': f'{U}/collection', 'canvases': [f'{U}/canvas/1']}
    m = v2_manifest(tmp_path, structures=[contents], viewingHint=['top', 'paged'],
                    within=[f'{U}/collection', 'the cellar'], canvas=dict(within=f'{U}/m.json'))
    assert m['behavior']==['paged']
    assert m['partOf']==[dict(id=f'{U}/collection', type='Collection')]
    assert m['items'][0]['partOf']==[dict(id=f'{U}/m.json', type='Manifest')]
    assert not {'behavior', 'partOf'} & {*m['structures'][0]} and valid(colored(m)[0])

# Ranges

def short(r):
    return [r['id'], *(short(o) if o['type']=='Range' else o['id'] for o in r.get('items', []))]

def ranges(tmp_path, *structures):
    structures = [{'@type': 'sc:Range', 'label': 'x', **o} for o in structures]
    return [short(r) for r in v2_manifest(tmp_path, structures=structures)['structures']]

def test_no_range_is_lost(tmp_path):
    "Ranges that contain each other, beside one that is right, and ranges without an id"
    a = {'@id': 'a', 'ranges': ['b'], 'canvases': ['c1']}
    b = {'@id': 'b', 'ranges': ['a'], 'canvases': ['c2']}
    top = {'@id': 'top', 'canvases': ['c0']}
    assert ranges(tmp_path, top, a, b)==[['top', 'c0'], ['a', ['b', ['a'], 'c2'], 'c1']]
    alone = {'@id': 'a', 'within': 'a', 'canvases': ['c1']}
    assert ranges(tmp_path, alone)==[['a', ['a'], 'c1']]
    (first,c0),(second,c1) = ranges(tmp_path, {'canvases': ['c0']}, {'canvases': ['c1']})
    assert (c0, c1)==('c0', 'c1') and first!=second
    for o in (first, second): assert o.startswith('https://example.org/color/range/')

def test_the_order_of_members_is_kept(tmp_path):
    "Canvases and ranges mixed, then what stands in the other lists and nowhere else"
    members = [{'@id': 'c1', '@type': 'sc:Canvas'}, {'@id': 'b', '@type': 'sc:Range'},
               {'@id': 'c2', '@type': 'sc:Canvas'}]
    a = {'@id': 'a', 'members': members, 'ranges': ['b', 'd'], 'canvases': ['c2', 'c3']}
    b,d = {'@id': 'b', 'canvases': ['c4']},{'@id': 'd', 'within': 'a', 'canvases': []}
    assert ranges(tmp_path, a, b, d)==[['a', 'c1', ['b', 'c4'], 'c2', ['d'], 'c3']]

def test_long_lists_take_no_longer_than_they_must():
    "Each thing in them was compared to all before it"
    many = [f'{i:x}' for i in range(40_000)]
    inside = [{'@id': 'top'}, *({'@id': k, 'within': 'top'} for k in many)]
    first = dict(canvases=[{'@id': 'c'}], thumbnail=[f'z{k}' for k in many])
    start = time.process_time()
    m = to_v3(dict(sequences=[first], structures=inside, thumbnail=many), str)
    assert time.process_time()-start<5
    counts = len(m['thumbnail']),len(m['structures'][0]['items'])
    assert counts==(80_000, 40_000)
