"What info.json says, and the ways to a picture that follow from it"
import pytest
from colorized.iiif.fetch import IIIFError
from colorized.iiif.service import ImageService, parse_info, tile_urls

CONTEXT = {1: 'http://library.stanford.edu/iiif/image-api/1.1/context.json',
           2: 'http://iiif.io/api/image/2/context.json',
           3: 'http://iiif.io/api/image/3/context.json'}
COMPLIANCE = 'http://library.stanford.edu/iiif/image-api/1.1/compliance.html'
URL = 'http://x.org/p/info.json'

def service(**more):
    default = dict(id='http://x.org/p', version=3, level=2, width=1000, height=700)
    return ImageService(**{**default, **more})

def name(url):
    "What addresses do not have in common"
    return url.removeprefix('http://x.org/p/').removesuffix('/0/default.jpg')

def ways(s, size=None):
    "Sizes, and the first address or the tiles"
    return [(o.size, o.tile or name(o.urls[0])) for o in s.candidates(size)]

@pytest.mark.parametrize('context,more,version', [
    (CONTEXT[3], {}, 3),
    (['http://x.org/extension.json', CONTEXT[3]], {}, 3),
    (None, dict(type='ImageService3'), 3),
    (CONTEXT[2], {}, 2),
    (None, {}, 2),
    (CONTEXT[1], {}, 1),
    (None, dict(profile=f'{COMPLIANCE}#level1'), 1),
    (None, dict(profile=f'{COMPLIANCE}#level1'.replace('1.1/', ''), identifier='p'), 1),
    ('http://iiif.io/api/image/1/context.json', {}, 1)])
def test_versions(context, more, version):
    s = parse_info({'@context': context, 'width': 100, 'height': 70, **more}, URL)
    assert s.version==version and s.id=='http://x.org/p'
    names = {1: 'full/full/0/native.jpg', 2: 'full/full/0/default.jpg', 3: 'full/max/0/default.jpg'}
    assert s.candidates()[0].urls[0]==f'http://x.org/p/{names[version]}'

def test_words_of_version_1():
    s = parse_info({
        '@context': CONTEXT[1], '@id': 'http://x.org/p/', 'width': '900', 'height': '600',
        'tile_width': 256, 'scale_factors': [1, 2], 'profile': f'{COMPLIANCE}#level2'})
    assert (s.id, s.level, s.width, s.tiles)==('http://x.org/p', 2, 900, [(256, 256, [1, 2])])

def test_limits_stand_in_the_profile_or_beside_it():
    "The one for the width holds for the height as well, unless there is another"
    info = {'id': 'http://x.org/p', 'width': 1000, 'height': 4000}
    for o in (dict(maxWidth=500), dict(profile=['level1', dict(maxWidth=500)])):
        s = parse_info({**info, **o})
        assert s.allows(500, 500) and not s.allows(501, 1) and not s.allows(1, 501)
        assert s.fit(1000, 4000)==(125, 500)
    s = parse_info({**info, 'maxWidth': 500, 'maxHeight': 2000})
    assert s.allows(500, 2000) and not s.allows(1, 2001) and s.fit(1000, 4000)==(500, 2000)
    s = parse_info({**info, 'maxArea': 10_000})
    assert s.allows(100, 100) and not s.allows(101, 100) and s.fit(1000, 4000)==(50, 200)
    assert parse_info(info).fit(1000, 4000)==(1000, 4000)
    assert parse_info(info).fit(50_000, 20_000)==(25_000, 10_000) # more than is read

def test_a_limit_that_is_not_positive_is_none():
    "Some servers write -1 where there is no limit"
    info = {'@context': CONTEXT[2], '@id': 'http://x.org/p', 'width': 1000, 'height': 700}
    no_limits = dict(maxWidth=-1, maxHeight='0', maxArea=-1)
    for o in (no_limits, dict(profile=['level2', no_limits])):
        assert parse_info({**info, **o}).fit(1000, 700)==(1000, 700)
        assert ways(parse_info({**info, 'profile': 'level2', **o}))[0]==((1000, 700), 'full/full')

@pytest.mark.parametrize('wrong', [
    dict(width=0), dict(height=-1), dict(tiles=[dict(width=0)]),
    dict(tiles=[dict(width=9, scaleFactors=[0])])])
def test_numbers_that_are_not_positive(wrong):
    with pytest.raises(IIIFError, match='http://x.org/p/info.json.*not positive'):
        parse_info({'width': 10, 'height': 10, **wrong}, URL)

@pytest.mark.parametrize('info', [[], 'x', {}, dict(width=3), dict(width='wide', height=3),
    dict(width=3, height=3, tiles=[dict(height=3)]), dict(width=3, height=3, sizes=[7])])
def test_what_is_no_info_is_named(info):
    with pytest.raises(IIIFError, match='http://x.org/p/info.json: not an info.json'):
        parse_info(info, URL)

def test_ways_to_the_whole():
    assert ways(service())==[((1000, 700), 'full/max'), ((1000, 700), (1024, 1024, 1))]
    tiles = [(256, 256, [1, 2])]
    assert ways(service(tiles=tiles, sizes=[(250, 175)]))==[
        ((1000, 700), 'full/max'), ((1000, 700), (256, 256, 1)),
        ((500, 350), (256, 256, 2)), ((250, 175), 'full/250,175')]
    # a limit: tiles are better than what the server gives as the whole, which comes last
    assert ways(service(max_width=500))==[
        ((1000, 700), (500, 500, 1)), ((500, 350), 'full/500,350'), ((1000, 700), 'full/max')]
    assert ways(service(max_area=10_000))[0]==((1000, 700), (100, 100, 1))
    # level 0 has only what it lists
    assert ways(service(level=0))==[((1000, 700), 'full/max')]

def test_ways_to_a_smaller_picture():
    assert ways(service(), 500)[0]==((500, 350), 'full/500,350')
    assert ways(service(version=2), 500)[0]==((500, 350), 'full/500,')
    assert ways(service(), 1000)==ways(service(), 5000)==ways(service())
    assert ways(service(max_width=400), 500)==[((400, 280), 'full/400,280')]
    # level 0: whatever is listed and not larger, the largest first
    sizes = [(250, 175), (1000, 700), (500, 350)]
    s = service(level=0, sizes=sizes, tiles=[(256, 256, [1, 2, 4, 8])])
    assert ways(s, 600)==[
        ((500, 350), 'full/500,350'), ((500, 350), (256, 256, 2)), ((250, 175), 'full/250,175'),
        ((250, 175), (256, 256, 4)), ((125, 88), (256, 256, 8))]
    assert ways(service(level=0), 100)==[]

def test_more_than_is_read_is_not_asked_for():
    s = service(width=20_000, height=15_000, tiles=[(512, 512, [1, 2, 4])])
    assert [o[0] for o in ways(s)]==[(18257, 13693), (10_000, 7500), (5000, 3750)]

def test_names_of_tiles():
    "Sizes by width in version 2, by both in version 3; the whole may be called so"
    v3,v2 = service(),service(version=2)
    names = lambda s, region, factor: [name(o) for o in tile_urls(s, region, factor)]
    corner,part = (512, 0, 488, 513),(0, 0, 512, 512)
    assert names(v3, corner, 2)==['512,0,488,513/244,257', '512,0,488,513/244,']
    assert names(v2, corner, 2)==['512,0,488,513/244,', '512,0,488,513/244,257']
    assert names(v3, part, 1)==['0,0,512,512/512,512', '0,0,512,512/512,', '0,0,512,512/max']
    assert names(v2, part, 1)==['0,0,512,512/512,', '0,0,512,512/512,512', '0,0,512,512/full']
    assert names(v3, (0, 0, 1000, 700), 2)==[
        '0,0,1000,700/500,350', '0,0,1000,700/500,', 'full/500,350', 'full/500,']

def test_a_long_list_is_not_tried_to_its_end():
    sizes = [(1000-i, 700) for i in range(900)]
    s = service(level=0, sizes=sizes*2, tiles=[(256+i, 256, [1]) for i in range(900)])
    assert [size for size,_ in ways(s)[1:21]]==[(1000, 700)]*20 and len(ways(s))==1+20+20
    assert {size for size,way in ways(s) if way=='full/max' or 'full' in way}=={*sizes[:20]}

def test_too_many_tiles_are_no_way():
    tiles = [(1, 1, [1, 2, 4, 8]), (512, 512, [1])]
    s = service(level=0, width=10_000, height=10_000, tiles=tiles)
    assert [o for _,o in ways(s)]==['full/max', (512, 512, 1)]
