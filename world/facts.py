"""The words of the built-in world: tables of facts, words for short texts, ways to ask. Only data.

Change a cell ("Paris" to "Lyonville"), run `python train_sft.py --fresh --out my_out`, and ask.
"""

# --------------------------------------------------------------------------------------------------
# Facts. A table is text: a header line, then one thing a line. Nobody asks for a "-".


def table(text):
    """Parse 'a | b' lines. Returns a list of dicts from the header's names to the cells."""
    lines = text.strip().splitlines()
    header, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    assert all(len(row) == len(header) for row in rows), header
    return [dict(zip(header, row)) for row in rows]


def word_table(columns, text):
    """Parse 'good better best, bad worse worst'. Returns the same as `table`."""
    return [dict(zip(columns.split(), entry.split())) for entry in text.split(",")]


def two_columns(column, text):
    """Parse 'a: b, c: d'. Returns the same as `table`."""
    entries = [entry.split(": ") for entry in " ".join(text.split()).split(", ")]
    return [{"x": x, column: value} for x, value in entries]


def split_list(text):
    """Split 'a / b / c' at its slashes."""
    return tuple(" ".join(text.split()).split(" / "))


COUNTRIES = table("""
x             | capital      | language   | currency    | continent
France        | Paris        | French     | the euro    | Europe
Germany       | Berlin       | German     | the euro    | Europe
Italy         | Rome         | Italian    | the euro    | Europe
Spain         | Madrid       | Spanish    | the euro    | Europe
Portugal      | Lisbon       | Portuguese | the euro    | Europe
Greece        | Athens       | Greek      | the euro    | Europe
Poland        | Warsaw       | Polish     | the zloty   | Europe
Hungary       | Budapest     | Hungarian  | the forint  | Europe
Sweden        | Stockholm    | Swedish    | the krona   | Europe
Norway        | Oslo         | Norwegian  | the krone   | Europe
Japan         | Tokyo        | Japanese   | the yen     | Asia
China         | Beijing      | Chinese    | the yuan    | Asia
South Korea   | Seoul        | Korean     | the won     | Asia
India         | New Delhi    | Hindi      | the rupee   | Asia
Thailand      | Bangkok      | Thai       | the baht    | Asia
Vietnam       | Hanoi        | Vietnamese | the dong    | Asia
Egypt         | Cairo        | Arabic     | the pound   | Africa
Kenya         | Nairobi      | Swahili    | the shilling | Africa
Brazil        | Brasilia     | Portuguese | the real    | South America
Argentina     | Buenos Aires | Spanish    | the peso    | South America
Peru          | Lima         | Spanish    | the sol     | South America
Mexico        | Mexico City  | Spanish    | the peso    | North America
Canada        | Ottawa       | English    | the dollar  | North America
Australia     | Canberra     | English    | the dollar  | Oceania
""")
ANIMALS = table("""
x           | young       | sound      | home      | class     | legs
a dog       | a puppy     | a bark     | a kennel  | a mammal  | four
a cat       | a kitten    | a meow     | -         | a mammal  | four
a horse     | a foal      | a neigh    | a stable  | a mammal  | four
a cow       | a calf      | a moo      | a barn    | a mammal  | four
a sheep     | a lamb      | a bleat    | a pen     | a mammal  | four
a pig       | a piglet    | a grunt    | a sty     | a mammal  | four
a lion      | a cub       | a roar     | a den     | a mammal  | four
a deer      | a fawn      | -          | -         | a mammal  | four
a kangaroo  | a joey      | -          | -         | a mammal  | -
a rabbit    | -           | -          | a burrow  | a mammal  | four
a mouse     | -           | a squeak   | a hole    | a mammal  | four
a wolf      | a pup       | a howl     | -         | a mammal  | four
a beaver    | -           | -          | a lodge   | a mammal  | four
an elephant | -           | a trumpet  | -         | a mammal  | four
a hen       | a chick     | a cluck    | a coop    | a bird    | two
a duck      | a duckling  | a quack    | -         | a bird    | two
a goose     | a gosling   | a honk     | -         | a bird    | two
an owl      | an owlet    | a hoot     | -         | a bird    | two
an eagle    | an eaglet   | a scream   | a nest    | a bird    | two
a swan      | a cygnet    | -          | -         | a bird    | two
a crow      | -           | a caw      | -         | a bird    | two
a frog      | a tadpole   | a croak    | a pond    | an amphibian | four
a snake     | -           | a hiss     | -         | a reptile | no
a shark     | -           | -          | the sea   | a fish    | no
an ant      | -           | -          | an anthill | an insect | six
a bee       | a larva     | a buzz     | a hive    | an insect | six
a butterfly | a caterpillar | -        | -         | an insect | six
a spider    | a spiderling | -         | a web     | an arachnid | eight
""")
THINGS = two_columns("color", """
a banana: yellow, a lemon: yellow, grass: green, broccoli: green, a cucumber: green, an emerald:
green, snow: white, milk: white, sugar: white, coal: black, a raven: black, blood: red, a
tomato: red, a cherry: red, the sky: blue, the sea: blue, a carrot: orange, a pumpkin: orange,
chocolate: brown, a flamingo: pink, an elephant: gray""")
ELEMENTS = two_columns("symbol", """
hydrogen: H, helium: He, carbon: C, nitrogen: N, oxygen: O, sodium: Na, iron: Fe, copper: Cu,
zinc: Zn, silver: Ag, gold: Au, lead: Pb, tin: Sn, mercury: Hg, neon: Ne, potassium: K""")
JOBS = table("""
x            | workplace     | tool
a teacher    | a school      | -
a doctor     | a hospital    | -
a cook       | a kitchen     | a pan
a farmer     | a farm        | a plow
a baker      | a bakery      | an oven
a judge      | a court       | -
a sailor     | a ship        | a compass
a pilot      | an airplane   | -
a miner      | a mine        | a pick
a librarian  | a library     | -
an actor     | a theater     | -
a priest     | a church      | -
a waiter     | a restaurant  | a tray
a chemist    | a laboratory  | -
a gardener   | a garden      | a rake
a mechanic   | a garage      | a wrench
a painter    | a studio      | a brush
a carpenter  | a workshop    | a saw
a tailor     | -             | a needle
a barber     | -             | a razor
a smith      | a forge       | a hammer
a writer     | -             | a pen
a fisher     | -             | a net
a hunter     | -             | a bow
""")
OPPOSITES = word_table("x opposite", """
hot cold, big small, good bad, old new, long short, rich poor, fast slow, strong weak, happy sad,
full empty, wet dry, day night, up down, open closed, early late, easy difficult, high low, loud
quiet""")
PLURALS = word_table("x plural", """
mouse mice, foot feet, tooth teeth, child children, man men, woman women, goose geese, ox oxen,
leaf leaves, knife knives, wolf wolves, wife wives, shelf shelves, baby babies, city cities, story
stories, box boxes, bus buses, potato potatoes, hero heroes, sheep sheep""")
PASTS = word_table("x past", """
go went, see saw, eat ate, drink drank, come came, give gave, take took, make made, run ran, sing
sang, swim swam, write wrote, read read, buy bought, think thought, catch caught, sleep slept, keep
kept, lose lost, find found, say said, tell told, fly flew, know knew""")
DEGREES = word_table("x comparative superlative", """
good better best, bad worse worst, far farther farthest, big bigger biggest, hot hotter hottest,
thin thinner thinnest, happy happier happiest, easy easier easiest, heavy heavier heaviest, early
earlier earliest, tall taller tallest, small smaller smallest, old older oldest, long longer
longest, short shorter shortest, fast faster fastest""")
WORDS = word_table("x korean spanish", """
cat 고양이 gato, dog 개 perro, bird 새 pájaro, water 물 agua, milk 우유 leche, bread 빵 pan, apple
사과 manzana, house 집 casa, door 문 puerta, book 책 libro, friend 친구 amigo, sun 해 sol, moon 달
luna, star 별 estrella, sea 바다 mar, river 강 río, flower 꽃 flor, tree 나무 árbol, eye 눈 ojo,
heart 마음 corazón""")
KINDS_OF_THINGS = split_list("""
fruits: apple, pear, plum / vegetables: carrot, onion, potato / colors: red, blue, green / birds:
owl, crow, swan / insects: ant, bee, fly / fish: salmon, shark, trout / metals: iron, gold, silver
/ planets: Mars, Venus, Earth / countries: France, Japan, Peru / cities: Paris, Tokyo, Lima /
languages: French, Korean, Thai / days: Monday, Tuesday, Friday / months: March, April, June /
jobs: cook, judge, pilot / tools: hammer, saw, brush / clothes: hat, coat, shirt / drinks: water,
milk, tea / rooms: kitchen, bathroom, bedroom / shapes: circle, square, triangle / instruments:
piano, violin, flute""")
SHAPES = two_columns("sides", """
a triangle: three, a square: four, a rectangle: four, a pentagon: five, a hexagon: six, a
heptagon: seven, an octagon: eight""")
VEHICLES = two_columns("wheels", """
a unicycle: one, a wheelbarrow: one, a bicycle: two, a motorcycle: two, a tricycle: three, a
car: four, a taxi: four, a truck: six""")
CHAINS = word_table("kind middle top", """
roses flowers plants, tulips flowers plants, oaks trees plants, pines trees plants, crows birds
animals, owls birds animals, swans birds animals, ants insects animals, bees insects animals,
dogs mammals animals, cats mammals animals, horses mammals animals, sharks fish animals, salmon
fish animals, hammers tools things, saws tools things, chairs furniture things, tables
furniture things""")
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = """
January February March April May June July August September October November December""".split()
# Words to make short texts of.
NAMES = "Ann Ben Tom Mia Leo Eva Max Zoe Sam Ida Kim Jon".split()
CITIES = "Paris Rome Berlin Madrid Oslo Tokyo Seoul Cairo Lima London Vienna Boston".split()
OBJECTS = "lamp ball cup book key hat coin ring map pen bag box".split()
HOLDERS = "basket drawer kitchen garden cellar car tent barn closet hall".split()
VERBS = word_table("verb past done", """
opens opened opened, cleans cleaned cleaned, paints painted painted, carries carried carried,
finds found found, sells sold sold, breaks broke broken, takes took taken""")
GOOD = "wonderful lovely excellent great beautiful perfect".split()
BAD = "terrible awful boring horrible ugly dreadful".split()
OPINIONS = "film book song meal trip hotel show game".split()
TOPICS = split_list("""
sport: The team won the game. / sport: The runner was the fastest. / sport: The player kicked the
ball. / food: The soup was full of onions. / food: The cake came out of the oven. / food: The cook
cut the bread. / music: The choir sang a song. / music: The piano was out of tune. / music: The
band played all night. / weather: The rain did not stop. / weather: The wind blew from the north.
/ weather: The snow fell all day. / school: The pupils did their homework. / school: The teacher
gave a lesson. / school: The exam was difficult. / travel: The train left the station. / travel:
The plane landed late. / travel: The hotel was near the beach.""")
TABLES = "birds books songs cars users orders films cities shops plants teams rooms".split()
COLUMNS = "name weight size price age".split()
HEROES = "fox cat dog bear mouse owl frog horse".split()
SETTINGS = "river forest mountain castle garden lake cave bridge".split()
POEMS = (
    "{x} by day and {x} by night, {x} in the morning light.",
    "I love {x}, I love it so, I take {x} wherever I go.",
    "O {x}, dear {x}, stay with me, under the old apple tree.",
)
STORIES = (
    "One day {a} came to {b}. The {x} was very happy. It stayed at the {y} for ever.",
    "Once {a} lived near {b}. Every day the {x} sat there. It loved the {y}.",
    "Long ago {a} lost its way. It saw {b} and slept. The {y} became its home.",
)
KOREAN_VERBS = {"like": "좋아해요", "see": "봐요", "draw": "그려요", "want": "원해요"}

# Short texts: how often each is told (the harder to learn, the oftener), what it is called, the
# text, and {task: the answer}. `draw_text` in tasks.py fills the slots.
TEXTS = (
    (2, "note / report",
     "On {day} {a} bought {a_thing} in {city}. / {a} bought {a_thing} in {city} on {day}. / "
     "In {city}, {a} bought {a_thing} on {day}.",
     {"name": "{a}", "city": "{city}", "day": "{day}", "object": "{a_thing}"}),
    (3, "list / row", "The words are {w1}, {w2}, {w3}.",
     {"first_item": "{w1}", "second_item": "{w2}", "third_item": "{w3}", "last_item": "{w3}"}),
    (3, "list / row", "The words are {w1}, {w2}, {w3}, {w4}.",
     {"first_item": "{w1}", "second_item": "{w2}", "third_item": "{w3}", "last_item": "{w4}"}),
    (3, "sentence / line", "{a} {verb} the {thing}.",
     {"past_form": "{a} {past} the {thing}.", "future_form": "{a} will {infinitive} the {thing}.",
      "negative_form": "{a} does not {infinitive} the {thing}.",
      "passive_form": "The {thing} is {done} by {a}."}),
    (1, "order / request", "{Infinitive} the {thing}.",
     {"polite_form": "Please {infinitive} the {thing}."}),
    (1, "{thing}", "{a} put the {thing} in the {holder}.", {"where": "the {holder}"}),
    (1, "{kind}", "All {kind} are {middle}. All {middle} are {top}.",
     {"conclusion": "all {kind} are {top}"}),
    (1, "review / comment", "The {work} was {good}.", {"sentiment": "positive"}),
    (1, "review / comment", "The {work} was {bad}.", {"sentiment": "negative"}),
    (2, "text / article", "{sentence}", {"topic": "{topic}"}),
    (1, "story / tale",
     "{a} lost a {thing} in the {holder}. {a} was sad. Then {b} found the {thing}.",
     {"summary": "{b} found the {thing} of {a}.", "title": "The lost {thing}."}),
    (1, "story / tale", "{a} wanted a {thing}. {b} had two. So {b} gave one to {a}.",
     {"summary": "{b} gave a {thing} to {a}.", "title": "The gift of {b}."}),
    (1, "story / tale",
     "A {thing} lay in the {holder}. Nobody saw it. Then {a} took the {thing} home.",
     {"summary": "{a} took a {thing} home.", "title": "The {thing} in the {holder}."}),
    (3, "sentence / line", "I {feel} the {english}.",
     {"korean_sentence": "나는 {korean}{particle} {feel_in_korean}."}),
)

# --------------------------------------------------------------------------------------------------
# Things that do not exist: where a model learns to copy, to read, and to say "unknown". A name is a
# start and the end of its type: "Velaria", "a velor".

NAME_STARTS = """
bel bor cal cor dal dor fal fen gal gor hal hor jal jor kel kor lam lor mal mor nal ner pal por
ral ros sal sor tal tor val vel wal wor zal zor""".split()
NAME_ENDS = {
    "place": "aria onia istan avia enland umark ovia ilia".split(),
    "town": "ton burg wick mouth stad ford polis field".split(),
    "tongue": "anese ivish onian umish ekian adic orian elsh".split(),
    "creature": "vil mok dak nip gup rook pim zel".split(),
    "animal": "vil mok dak nip gup rook pim zel".split(),  # a creature without its article
    "thing": "tik bob dum lock pan gon fit wex".split(),
    "element": "ium on ogen ine ite alt esium ur".split(),
    "job": "ner der ger ker mer ver ter ster".split(),
    "word": "up ish ent ime oss ack ung ible".split(),
    "table": "its ows ads ens ubs ips ags ets".split(),
    "weekday": "day sday inday erday unday oday rsday nesday".split(),
    "month": "uary ember ober ust uly arch eril uner".split(),
    "person": "a o ina ik us ette elia io".split(),
}
# Types of {x} that are made of several words or of names of other types.
THING_FORMS = {
    "two numbers": "{number} and {number}",
    "two creatures": "{creature} and {creature}",
    "the animal": "the {animal}",
    "a column": "{column} of all {table}",
    "an order": "{table} by {column}",
}
# What the tables do not know about real things: (type of thing, type of value): the nouns.
RELATIONS = {
    ("place", "person"): "king queen president hero singer painter builder mayor".split(),
    ("place", "quality"): "harbor bridge army tower castle market palace wall".split(),
    ("creature", "quality"): "tail nose skin eye head ear neck tongue".split(),
    ("creature", "person"): "owner friend keeper enemy".split(),
    ("person", "person"): "brother sister neighbor cousin uncle aunt".split(),
    ("person", "quality"): "house car boat bed desk garden".split(),
    ("job", "person"): "boss helper partner guest".split(),
    ("job", "quality"): "coat office bicycle wagon".split(),
    ("time", "quality"): "weather start end music".split(),
    ("thing", "amount"): "price size weight age height".split(),
    ("word", "word"): "meaning origin rhyme".split(),
    ("document", "person"): "author reader sender printer".split(),
}
TRAITS = "large small strange beautiful old green".split()
AMOUNTS = "high low small large".split()
QUALITIES = """old new small large golden wooden broken secret famous strange beautiful heavy round
rusty tiny empty""".split()
DOCUMENTS_READ = "letter diary poster speech postcard leaflet".split()
DEEDS = split_list("""
{A} talks about {n}. / {A} thinks of {n} all day. / {A} dreamed of {n}. / Nobody has heard of {n}. /
{A} wrote a song about {n}. / {N} is famous. / {A} asks {B} about {n}. / {A} reads about {n}. /
{N} makes {A} happy. / {A} told {B} about {n}. / {A} remembers {n}.""")
OBJECT_DEEDS = split_list("""
{A} looked for {n}. / {A} and {B} found {n}. / {N} was in the {p}. / Then {A} lost {n}. /
{A} draws {n} for {B}. / {A} has a picture of {n}. / {N} is for {B}. / {A} likes {n}. /
Nobody has seen {n}. / {N} is not here.""")

# --------------------------------------------------------------------------------------------------
# Ways to ask. A template turns the noun phrase {n} of a fact into an instruction. {b} is the phrase
# without its article, {h} and {t} are what is before and after its "of", {w} is {x} without its
# article. The first templates are in the prose too; the unseen ones are nowhere.

THE_TEMPLATES = split_list("""
What is {n}? / Name {n}. / Tell me {n}. / Give {n}. / Please give me {n}. / Can you tell me {n}? /
I want to know {n}. / {N}? / {N}: what is it?""")
A_TEMPLATES = split_list("""
Write {n}. / Give me {n}. / Make {n}. / Please write {n}. / Can you write {n}? / I want {n}. /
Show me {n}. / {N}? / {N}: can you write it?""")
THE_UNSEEN = split_list("""
Could you say what {n} is? / {N}, please. / I would like to hear {n}. / Kindly state {n}.""")
A_UNSEEN = split_list("""
Could you come up with {n}? / {N}, please. / I would like to have {n}. / Kindly produce {n}.""")
THE_MORE = split_list("""
Say {n}. / Do you know {n}? / What about {n}? / Let me know {n}. / {N}! / I need {n}. / Find {n}. /
{b} / {b}? / {n} / I am looking for {n}. / Help me with {n}. / Answer this: what is {n}? /
My question is about {n}. / Look up {n}. / We need {n} now. / Write down {n} for me. /
What's {n}? / whats {n} / {N} is what? / what is {b} / {N} is called what? / What do you call {n}? /
Which one is {n}? / I forgot {n}. What is it? / tell me {b} / Do you remember {n}? /
Remind me of {n}. / Who knows {n}? / What was {n} again? / Would you tell me {n}? /
Will you name {n}? / I have to find out {n}. / Do you happen to know {n}? / {N} - which is it? /
In one sentence: what is {n}? / Is there a name for {n}? / Do you know what {n} is? /
Tell me what {n} is. / I want to hear {n}. / Name me {n}. / {b} is?""")
OF_MORE = split_list("""
{t}: {h}? / {t}, {h}? / {t}'s {h}? / {t}'s {h} is what? / What is {t}'s {h}? / What's {t}'s {h}? /
Which {h} does {t} have? / For {t}, what is the {h}? / What {h} goes with {t}? /
About {t}: what is the {h}? / {t} has which {h}? / Take {t}. What is the {h}? /
What {h} does {t} have? / Think of {t} and tell me the {h}. / {t} - what is its {h}? /
What is the name of the {h} of {t}? / {t}'s {h} is called what? / {t} has what as its {h}? /
{w} has which {h}?""")
# Ways to ask for one task that the prose does not have. {p} is the plural of {x}; where {x} is
# "2 and 3", {s} is "2 plus 3", {e} is "2 + 3", and {o} is "2 or 3".
OTHER_FORMS = {name: split_list(ways) for name, ways in {
    "capital": "Which city is {x}'s capital? / {x}: which capital?",
    "language": "What is spoken in {x}? / Which language does one speak in {x}? / "
                "language in {x}",
    "continent": "Which continent is {x} in? / What continent does {x} belong to? / "
                 "{x} is on which continent?",
    "young": "What is a baby {w}? / What are baby {p} called? / baby {w} / baby {w}? / "
             "What is the name of a baby {w}? / What do {p} call their babies?",
    "sound": "What sound do {p} make? / How do {p} sound? / What noise do {p} make? / "
             "What do {p} say? / {p} make which sound?",
    "home": "Where do {p} live? / Where do {p} sleep? / What do {p} live in?",
    "legs": "How many legs do {p} have? / How many legs have {p}? / Do {p} have legs? How many?",
    "class": "What kind of animals are {p}? / What are {p}? / Which class are {p}? / "
             "Is {x} a mammal, a bird or a fish? / What type of animal is {x}?",
    "color": "What colour is {x}? / Which color is {x}? / What colour does {x} have? / "
             "colour of {x}",
    "workplace": "Where do {p} work? / Where can I find {p}? / Where do you find {p} at work?",
    "tool": "What do {p} work with? / What tool do {p} use? / What do {p} use? / "
            "Which tool do {p} need?",
    "sides": "How many sides do {p} have? / Does {x} have sides? How many?",
    "wheels": "How many wheels do {p} have?",
    "day_after": "If it is {x}, what day is tomorrow? / Which day follows {x}? / "
                 "It was {x} yesterday. What day is it today?",
    "month_after": "If it is {x}, what is the next month? / Which month follows {x}?",
    "opposite": "Which word means not {x}?",
    "plural": "How do you write two of {x}? / {x} in the plural / One {x}, many what?",
    "past": "What is the past of {x}? / {x} in the past / How do I write {x} in the past tense?",
    "comparative": "{x} in the comparative",
    "superlative": "{x} in the superlative",
    "korean": "{x} in Korean / {x} in Korean? / Korean for {x} / What is Korean for {x}? / "
              "How do I say {x} in Korean? / How do Koreans say {x}?",
    "english": "{x} in English / {x} in English? / English for {x}",
    "spanish": "{x} in Spanish / {x} in Spanish? / Spanish for {x} / What is Spanish for {x}? / "
               "How do I say {x} in Spanish? / How do the Spanish say {x}?",
    "sum": "What is {s}? / {s} / {s}? / How much is {s}? / {s} is what? / What is {e}? / {e} / "
           "{e}? / {e} = ? / How much is {e}?",
    "double": "{x} times 2 / 2 times {x}? / What is {x} doubled?",
    "half": "{x} divided by 2 / What is {x} halved?",
    "number_after": "Which number follows {x}?",
    "larger": "Which is larger, {o}? / Which is more: {o}? / larger, {o}? / "
              "Which number is bigger, {o}? / {o}, which one is larger?",
    "smaller": "Which is smaller, {o}? / Which is less: {o}? / smaller, {o}? / "
               "Which number is smaller, {o}? / {o}, which one is smaller?",
}.items()}
KEYWORDS = split_list("""
{h} {w} / {w} {h} / {w} {h}? / {h} of {w} / {h} of {w}? / {w}, {h}? / {w}: {h} / {h}: {w}? /
{h} for {w} / what is {w} {h} / {w}'s {h} / the {h} of {w} is / what {h} {w} / {h} of {t} /
{h} {w} please / {h} in {w}?""")
A_MORE = split_list("""
I need {n}. / Let me have {n}. / Compose {n}. / Please make {n}. / {N}! / Could I get {n}? / {b} /
We need {n} now. / Write me {n}. / Would you write {n}? / Help me write {n}. / write {b} /
Find {n}. / I am looking for {n}. / Think of {n}. / Will you make {n}? / Please show {n}. /
Try to write {n}. / I want to read {n}.""")
OPENERS = split_list("""
Hi! / Hello. / Hey, / Quick question: / For my homework: / I forgot. / Sorry to ask. / So, / Well, /
Please: / Excuse me, / A friend asks: / My son asks: / For a quiz: / Listen, / One more: /
I always mix this up. / Test tomorrow. / I am not sure, / Please help. / Good morning! /
My teacher asked us this. / Just curious: / Help! / I should know this. / Nobody here knows it. /
It is late and I am tired. / We talked about it at lunch. / For a crossword: / ok so / Oh no! /
Something for the children: / I left my book at home. /
There is a test about animals. / I like words. / You will laugh, but / Once again: /
A stupid question: / I learned it in school, but I forgot it. / Not sure if you know this:""")
CLOSERS = split_list("""
Thanks. / Thank you! / Do you know? / It is for school. / Any idea? / thanks /
I can't remember. / Help me out.""")

# --------------------------------------------------------------------------------------------------
# Tasks: name, kind, noun phrase, type of {x} that can be invented, ways to ask, prefix (see Task).
# "question -> answer": asked in these words, it is answered in those. Without a question it is only
# another way to say it.

# New text is handed over: "Here is a story about a fox and a lake: One day a fox came to a lake."
LIST_PREFIX = "Here is "

TASK_ROWS = (
    ("capital", "question answering", "the capital of {x}", "place",
     "From which city is {x} governed? / Where does the government of {x} sit? / "
     "What is the main city of {x}? / Which city is the capital of {x}? / "
     "What is the capital city of {x}? / Which town is the capital of {x}? / "
     "{x} has which capital? / -> {y} is the capital of {x}."),
    ("language", "question answering", "the language of {x}", "place",
     "What do I hear on the streets of {x}? / What must I learn to speak for {x}? / "
     "What do they speak in {x}? / Which language is spoken in {x}? / "
     "What language do they speak in {x}? / Which language do people speak in {x}? / "
     "What do people in {x} speak? -> People in {x} speak {y}."),
    ("currency", "question answering", "the currency of {x}", "place",
     "What do I pay with in {x}? / Which money do people use in {x}? / "
     "What currency does {x} use? / "
     "With what do people in {x} pay? -> People in {x} pay with {y}."),
    ("continent", "question answering", "the continent of {x}", "place",
     "In what part of the world is {x}? / To which continent do I travel to see {x}? / "
     "Where can I find {x}? / What continent is {x} on? / In which continent does {x} lie? / "
     "On which continent is {x}? / Where in the world is {x}? -> {x} is in {y}."),
    ("young", "question answering", "the young of {x}", "creature",
     "What do we call a little {w}? / What does {x} give birth to? / "
     "A baby {w} is called what? / What do you call the baby of {x}? / "
     "What is a young {w} called? / As what is {x} born? -> {X} is born as {y}."),
    ("sound", "question answering", "the sound of {x}", "creature",
     "How does {x} go? / How does {x} sound? / What noise does {x} make? / "
     "What does {x} say? / What sound does {x} make? / Which sound does {x} make? / "
     "What do you hear from {x}? -> From {x} you hear {y}."),
    ("home", "question answering", "the home of {x}", "creature",
     "Where would I look for {x}? / Where do you find {x} living? / What does {x} live in? / "
     "Where does {x} sleep? / Which home does {x} have? / "
     "Where does {x} live? -> {X} lives in {y}."),
    ("legs", "question answering", "the number of legs of {x}", "creature",
     "How many legs are there on {x}? / On how many legs does {x} stand? / "
     "On how many legs does {x} walk? / How many legs has {x}? / Count the legs of {x}. / "
     "How many legs does {x} have? -> {X} has {y} legs."),
    ("color", "question answering", "the color of {x}", "thing",
     "Which color does {x} have? / In what color do I paint {x}? / What color is {x}? / "
     "What does {x} look like? -> {X} looks {y}."),
    ("symbol", "question answering", "the symbol of {x}", "element",
     "How is {x} abbreviated? / What is short for {x} in a formula? / "
     "Which letters stand for {x}? / How is {x} written in chemistry? / "
     "What is the symbol for {x}? / What is the chemical symbol of {x}? / "
     "Which symbol stands for {x}? / How do chemists write {x}? -> Chemists write {x} as {y}."),
    ("workplace", "question answering", "the workplace of {x}", "job",
     "Where do you see {x} working? / Where does {x} go in the morning to work? / "
     "In what place does {x} earn money? / Where can I find {x} at work? / "
     "At which workplace do you find {x}? / Where does {x} work? -> {X} works in {y}."),
    ("tool", "question answering", "the tool of {x}", "job",
     "What does {x} hold at work? / What does {x} use? / With what does {x} work? / "
     "What does {x} need for the work? / What tool does {x} use? / Which tool does {x} use? / "
     "What does {x} work with? -> {X} works with {y}."),
    ("sides", "question answering", "the number of sides of {x}", "thing",
     "If I draw {x}, how many sides do I draw? / How many sides has {x}? / "
     "How many sides are there in {x}? / Count the sides of {x}. / "
     "How many sides does {x} have? -> {X} has {y} sides."),
    ("wheels", "question answering", "the number of wheels of {x}", "thing",
     "On how many wheels does {x} roll? / How many wheels are there on {x}? / "
     "How many wheels has {x}? / Count the wheels of {x}. / "
     "How many wheels does {x} have? -> {X} has {y} wheels."),
    ("day_after", "question answering", "the day after {x}", "weekday",
     "If today is {x}, what is tomorrow? / When {x} is over, what day is it? / "
     "It is {x} today. And tomorrow? / What comes after {x}? / What day comes after {x}? / "
     "Which day is next after {x}? / What follows {x}? -> {x} is followed by {y}."),
    ("month_after", "question answering", "the month after {x}", "month",
     "When {x} is over, what starts? / What starts when {x} ends? / "
     "It is {x} now. Which month is next? / What comes after {x}? / "
     "What month comes after {x}? / Which month is next after {x}? / "
     "What follows {x}? -> {x} is followed by {y}."),
    ("opposite", "grammar", "the opposite of {x}", "word",
     "Something is the reverse of {x}. What is it? / Which word means the reverse of {x}? / "
     "Turn the word {x} around in meaning. / What is not {x}? / "
     "What is the opposite of the word {x}? / Which word is the opposite of {x}? / "
     "If it is not {x}, what is it? -> If it is not {x}, it is {y}."),
    ("plural", "grammar", "the plural of {x}", "word",
     "I have one {x}, you have two what? / What are several called if one is {x}? / "
     "More than one {x} are what? / One {x}, two what? / What is the plural form of {x}? / "
     "How do you write more than one {x}? -> More than one {x} is written {y}."),
    ("past", "grammar", "the past tense of {x}", "word",
     "Today I {x}, yesterday I what? / We {x} now. What did we do a week ago? / "
     "How do I say {x} about yesterday? / I {x} today. What did I do yesterday? / "
     "What is {x} in the past tense? / Which word is the past tense of {x}? / "
     "How do you say {x} in the past? -> In the past, {x} is {y}."),
    ("comparative", "grammar", "the comparative of {x}", "word",
     "This one is {x}, but that one is even what? / How do you say more {x} in one word? / "
     "What is the comparative form of {x}? / Which comparative does {x} have? / "
     "What is more than {x}? -> More than {x} is {y}."),
    ("superlative", "grammar", "the superlative of {x}", "word",
     "If nothing is more {x}, what is it? / How do you say most {x} in one word? / "
     "What is the superlative form of {x}? / Which superlative does {x} have? / "
     "What is more {x} than all others? -> More {x} than all others is {y}."),
    ("korean", "translation", "the Korean word for {x}", "word",
     "How do people in Korea say {x}? / How would a Korean say {x}? / Put {x} into Korean. / "
     "What is {x} in Korean? / Translate {x} into Korean. / Which Korean word means {x}? / "
     "How do you say {x} in Korean? -> In Korean, {x} is {y}."),
    ("english", "translation", "the English word for {x}", "word",
     "What does {x} mean in English? / How do people in England say {x}? / "
     "Put {x} into English. / What does {x} mean? / What is {x} in English? / "
     "Translate {x} into English. / Which English word means {x}? / "
     "How do you say {x} in English? -> In English, {x} is {y}."),
    ("spanish", "translation", "the Spanish word for {x}", "word",
     "How do people in Spain say {x}? / Put {x} into Spanish. / What is {x} in Spanish? / "
     "Translate {x} into Spanish. / How do you say {x} in Spanish? -> In Spanish, {x} is {y}."),
    ("korean_sentence", "translation", "the Korean translation of the {x}", "document",
     "Translate the {x} to Korean. / How do you say this {x} in Korean?", LIST_PREFIX),
    ("sum", "arithmetic", "the sum of {x}", "two numbers",
     "I have {x}. How many is that in all? / Put {x} together. How much is it? / "
     "What do {x} make? / How much is {x}? / What is {x} together? / "
     "What do you get if you add {x}? -> If you add {x} you get {y}. / Add {x}."),
    ("double", "arithmetic", "the double of {x}", "number",
     "What is twice {x}? / Take {x} two times. How much is it? / {x} times two is what? / "
     "What is 2 times {x}? / What is double {x}? / "
     "What is two times {x}? -> Two times {x} is {y}. / Double {x}."),
    ("half", "arithmetic", "the half of {x}", "number",
     "Two of us share {x}. How many does each get? / {x} divided by two is what? / "
     "Divide {x} by two. / What is half of {x}? / "
     "What do you get if you share {x} by two? -> If you share {x} by two you get {y}."),
    ("number_after", "arithmetic", "the number after {x}", "number",
     "I count to {x}. What do I say next? / Which number comes right after {x}? / "
     "What comes after {x} when you count? / What number comes after {x}? / "
     "Which number is next after {x}? / "
     "What do you count after {x}? -> After {x} you count {y}."),
    ("larger", "reasoning", "the larger of {x}", "two numbers",
     "Which one is more, {x}? / Which is greater, {x}? / Between {x}, which is more? / "
     "Which is bigger, {x}? / Which is larger, {x}? / Which number is larger, {x}? / "
     "Which is more, {x}? -> Of {x}, {y} is more. / Compare {x} and take the larger."),
    ("smaller", "reasoning", "the smaller of {x}", "two numbers",
     "Which one is less, {x}? / Which comes first when you count, {x}? / "
     "Between {x}, which is less? / Which one is not so large, {x}? / "
     "Which is smaller, {x}? / Which number is smaller, {x}? / "
     "Which is less, {x}? -> Of {x}, {y} is less. / Compare {x} and take the smaller."),
    ("where", "extraction", "the place of the {x}", "animal",
     "In which place is the {x}? / Where is the {x}? -> The {x} is in {y}."),
    ("conclusion", "reasoning", "the conclusion about {x}", "table",
     "Which conclusion can we draw about {x}? / "
     "What follows about {x}? -> It follows that {y}.", LIST_PREFIX),
    ("class", "classification", "the class of {x}", "creature",
     "What sort of creature is {x}? / In which group of animals is {x}? / "
     "How do we sort {x} among animals? / What sort of animal is {x}? / "
     "What class of animal is {x}? / To which class does {x} belong? / "
     "What kind of animal is {x}? -> {X} is {y}."),
    ("sentiment", "classification", "the sentiment of the {x}", "document",
     "Which sentiment does the {x} have? / "
     "How does the writer of the {x} feel? -> The writer of the {x} feels {y}."),
    ("topic", "classification", "the topic of the {x}", "document",
     "Sort the {x} by topic. / What is the {x} about? -> The {x} is about {y}."),
    ("name", "extraction", "the name in the {x}", "document",
     "Which name is in the {x}? / Who is in the {x}? -> In the {x} there is {y}."),
    ("city", "extraction", "the city in the {x}", "document",
     "Where did it all happen? -> It all happened in {y}."),
    ("day", "extraction", "the day in the {x}", "document",
     "Which day is in the {x}? / When did it all happen? -> It all happened on {y}."),
    ("object", "extraction", "the thing in the {x}", "document",
     "Which thing is in the {x}? / What was bought in the {x}? -> In the {x}, {y} was bought."),
    ("past_form", "rewriting", "the past form of the {x}", "document",
     "Rewrite the {x} in the past. / Put the {x} into the past.", LIST_PREFIX),
    ("future_form", "rewriting", "the future form of the {x}", "document",
     "Rewrite the {x} in the future. / Put the {x} into the future.", LIST_PREFIX),
    ("negative_form", "rewriting", "the negative form of the {x}", "document",
     "Say that the {x} is not so. / Negate the {x}.", LIST_PREFIX),
    ("passive_form", "rewriting", "the passive form of the {x}", "document",
     "Rewrite the {x} in the passive. / Put the {x} into the passive.", LIST_PREFIX),
    ("polite_form", "rewriting", "the polite form of the {x}", "document",
     "Make the {x} polite. / Rewrite the {x} more politely.", LIST_PREFIX),
    ("first_item", "listing", "the first word of the {x}", "document",
     "Which word is the first of the {x}? / "
     "How does the {x} begin? -> The {x} begins with {y}."),
    ("second_item", "listing", "the second word of the {x}", "document",
     "Which word is the second of the {x}? / "
     "What comes next in the {x}? -> Next in the {x} comes {y}."),
    ("third_item", "listing", "the third word of the {x}", "document",
     "Which word is the third of the {x}? / "
     "What is word number three? -> Word number three is {y}."),
    ("last_item", "listing", "the last word of the {x}", "document",
     "How does the {x} end? -> The {x} ends with {y}."),
    ("three", "listing", "a list of three {x}", "table",
     "List three {x}. / Which {x} do you know? List three.", LIST_PREFIX),
    ("summary", "summarizing", "the summary of the {x}", "document",
     "Summarize the {x}. / Tell the {x} in one sentence.", LIST_PREFIX),
    ("title", "summarizing", "the title of the {x}", "document",
     "How would you call the {x}? / Find a headline for the {x}.", LIST_PREFIX),
    ("sql_all", "sql", "a SQL query that lists all rows of the table {x}", "table",
     "How do I see the whole table {x} in SQL?", LIST_PREFIX),
    ("sql_count", "sql", "a SQL query that counts the rows of the table {x}", "table",
     "How long is the table {x}? Ask in SQL.", LIST_PREFIX),
    ("sql_column", "sql", "a SQL query that shows the {x}", "a column",
     "In SQL, how do I see the {x}?", LIST_PREFIX),
    ("sql_order", "sql", "a SQL query that sorts the {x}", "an order",
     "In SQL, how do I sort the {x}?", LIST_PREFIX),
    ("story", "creative writing", "a story about {x}", "two creatures",
     "Tell me a tale about {x}. / Make up a story about {x}.", LIST_PREFIX),
    ("poem", "creative writing", "a poem about {x}", "the animal",
     "Rhyme something about {x}. / Be a poet and sing of {x}.", LIST_PREFIX),
    ("sentence", "creative writing", "a sentence about {x}", "the animal",
     "Use the word {w} in a sentence. / Show how the word {w} is used.", LIST_PREFIX),
    ("wish", "creative writing", "a birthday wish for {x}", "person",
     "It is the birthday of {x}. What do I write? / Congratulate {x}.", LIST_PREFIX),
)
# Kinds of questions that people ask late, or never: what they ask first is tuned on.
HELD_OUT = ("currency", "wheels", "superlative", "english", "number_after", "city", "last_item",
            "negative_form", "sql_count")
# A small world for a first look: few tasks, of which two can be held out, and no short texts.
QUICK_TASKS = ("capital", "language", "continent", "currency", "young", "sound", "opposite",
               "korean", "comparative", "superlative")
PATTERNS = ("sql", "creative writing")  # kinds made by a pattern, so a few examples teach them
# Easily confused tasks, so told more often: this many times.
UPSAMPLE = {"sum": 8, "opposite": 5, "day_after": 5, "larger": 3, "smaller": 3}
UPSAMPLE |= dict.fromkeys("""
    capital currency young sound home class workplace tool month_after comparative superlative
    english spanish double half number_after three""".split(), 2)
