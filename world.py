"""A tiny true world: its facts, the prose that tells them, and the ways people ask about them.

What it is: tables of facts a learner recognises, a few makers of short texts, and one rule that turns both into
(1) a corpus of plain prose to pretrain on, and (2) instruction pairs to tune on, with three held-out splits.
What it is not: a language. Every sentence comes from a pattern that you can read below, so every answer can be checked.

    python world.py             counts and samples
    python world.py my_world    also writes my_world/corpus.txt and my_world/*.jsonl, plain files to open and edit
    python world.py my_world --bare        an experiment on the world; --help lists the others

The one rule: what is asked for has a name, a noun phrase ("the capital of France"). Prose states it ("The capital of
France is Paris."), instructions ask for it ("Name the capital of France."), an answer is the statement. The prose
never shows a question with its answer; that step is what instruction tuning teaches.
"""

import argparse
import json
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

# ----------------------------------------------------------------------------------------------------------------
# Facts. A table is text: a header line, then one thing a line. "-" means that it is not asked.


def table(text):
    """'a | b' lines -> list of rows, each a dict from the header's names to the cells."""
    header, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    assert all(len(line) == len(header) for line in lines), header
    return [dict(zip(header, line)) for line in lines]


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

THINGS = table("""
x            | color
a banana     | yellow
a lemon      | yellow
grass        | green
broccoli     | green
a cucumber   | green
an emerald   | green
snow         | white
milk         | white
sugar        | white
coal         | black
a raven      | black
blood        | red
a tomato     | red
a cherry     | red
the sky      | blue
the sea      | blue
a carrot     | orange
a pumpkin    | orange
chocolate    | brown
a flamingo   | pink
an elephant  | gray
""")

ELEMENTS = table("""
x        | symbol
hydrogen | H
helium   | He
carbon   | C
nitrogen | N
oxygen   | O
sodium   | Na
iron     | Fe
copper   | Cu
zinc     | Zn
silver   | Ag
gold     | Au
lead     | Pb
tin      | Sn
mercury  | Hg
neon     | Ne
potassium | K
""")

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

OPPOSITES = """hot cold, big small, good bad, old new, long short, rich poor, fast slow, strong weak, happy sad,
full empty, wet dry, day night, up down, open closed, early late, easy difficult, high low, loud quiet"""
PLURALS = """mouse mice, foot feet, tooth teeth, child children, man men, woman women, goose geese, ox oxen,
leaf leaves, knife knives, wolf wolves, wife wives, shelf shelves, baby babies, city cities,
story stories, box boxes, bus buses, potato potatoes, hero heroes, sheep sheep"""
PASTS = """go went, see saw, eat ate, drink drank, come came, give gave, take took, make made, run ran, sing sang,
swim swam, write wrote, read read, buy bought, think thought, catch caught, sleep slept,
keep kept, lose lost, find found, say said, tell told, fly flew, know knew"""
DEGREES = table("""
x       | comparative | superlative
good    | better      | best
bad     | worse       | worst
far     | farther     | farthest
big     | bigger      | biggest
hot     | hotter      | hottest
thin    | thinner     | thinnest
happy   | happier     | happiest
easy    | easier      | easiest
heavy   | heavier     | heaviest
early   | earlier     | earliest
tall    | taller      | tallest
small   | smaller     | smallest
old     | older       | oldest
long    | longer      | longest
short   | shorter     | shortest
fast    | faster      | fastest
""")

WORDS = table("""
x       | korean   | spanish
cat     | 고양이   | gato
dog     | 개       | perro
bird    | 새       | pájaro
water   | 물       | agua
milk    | 우유     | leche
bread   | 빵       | pan
apple   | 사과     | manzana
house   | 집       | casa
door    | 문       | puerta
book    | 책       | libro
friend  | 친구     | amigo
sun     | 해       | sol
moon    | 달       | luna
star    | 별       | estrella
sea     | 바다     | mar
river   | 강       | río
flower  | 꽃       | flor
tree    | 나무     | árbol
eye     | 눈       | ojo
heart   | 마음     | corazón
""")

KINDS_OF_THINGS = table("""
x           | members
fruits      | apple, pear, plum, cherry
vegetables  | carrot, onion, potato, cabbage
colors      | red, blue, green, yellow
birds       | owl, crow, swan, eagle
insects     | ant, bee, fly, moth
fish        | salmon, shark, trout, tuna
metals      | iron, gold, silver, copper
planets     | Mars, Venus, Earth, Saturn
countries   | France, Japan, Peru, Kenya
cities      | Paris, Tokyo, Lima, Cairo
languages   | French, Korean, Thai, Greek
days        | Monday, Tuesday, Friday, Sunday
months      | March, April, June, July
jobs        | cook, judge, pilot, baker
tools       | hammer, saw, brush, needle
clothes     | hat, coat, shirt, shoe
drinks      | water, milk, tea, juice
rooms       | kitchen, bathroom, bedroom, hall
shapes      | circle, square, triangle, star
instruments | piano, violin, flute, drum
""")

SHAPES = table("""
x          | sides
a triangle | three
a square   | four
a rectangle | four
a pentagon | five
a hexagon  | six
a heptagon | seven
an octagon | eight
""")

CHAINS = table("""
x         | chain
roses     | flowers, plants
tulips    | flowers, plants
oaks      | trees, plants
pines     | trees, plants
crows     | birds, animals
owls      | birds, animals
swans     | birds, animals
ants      | insects, animals
bees      | insects, animals
dogs      | mammals, animals
cats      | mammals, animals
horses    | mammals, animals
sharks    | fish, animals
salmon    | fish, animals
hammers   | tools, things
saws      | tools, things
chairs    | furniture, things
tables    | furniture, things
""")

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = """January February March April May June July August September October November December""".split()

# Words to make short texts of.
NAMES = "Ann Ben Tom Mia Leo Eva Max Zoe Sam Ida Kim Jon".split()
CITIES = "Paris Rome Berlin Madrid Oslo Tokyo Seoul Cairo Lima London Vienna Boston".split()
OBJECTS = "lamp ball cup book key hat coin ring map pen bag box".split()
HOLDERS = "basket drawer kitchen garden cellar car tent barn closet hall".split()
VERBS = table("""
x      | past    | done
opens  | opened  | opened
cleans | cleaned | cleaned
paints | painted | painted
carries | carried | carried
finds  | found   | found
sells  | sold    | sold
breaks | broke   | broken
takes  | took    | taken
""")
GOOD = "wonderful lovely excellent great beautiful perfect".split()
BAD = "terrible awful boring horrible ugly dreadful".split()
OPINIONS = "film book song meal trip hotel show game".split()
TOPICS = table("""
x       | texts
sport   | The team won the game., The runner was the fastest., The player kicked the ball into the goal.
food    | The soup was full of onions., The cake came out of the oven., The cook cut the bread.
music   | The choir sang a song., The piano was out of tune., The band played all night.
weather | The rain did not stop., The wind blew from the north., The snow fell all day.
school  | The pupils did their homework., The teacher gave a lesson., The exam was difficult.
travel  | The train left the station., The plane landed late., The hotel was near the beach.
""")
TABLES = "birds books songs cars users orders films cities shops plants teams rooms".split()
COLUMNS = "name color size price age".split()
HEROES = "fox cat dog bear mouse owl frog horse".split()
SETTINGS = "river forest mountain castle garden lake cave bridge".split()
POEMS = (
    "{x} by day and {x} by night, {x} in the morning light.",
    "I love {x}, I love it so, I take {x} wherever I go.",
    "O {x}, dear {x}, stay with me, under the old apple tree.",
)
KOREAN_VERBS = {"like": "좋아해요", "see": "봐요", "draw": "그려요", "want": "원해요"}


# ----------------------------------------------------------------------------------------------------------------
# Tasks. A task names what is asked for; a case is one thing asked.


@dataclass(frozen=True)
class Task:
    name: str
    kind: str  # question answering, translation, ... : the families instruction tuning is known for
    noun: str  # names what is asked for; {x} is the thing it is asked about
    asks: tuple  # ways of asking that only this task has, beside the FRAMES below
    tells: tuple = ()  # other ways of telling it in prose, beside the WRAPPERS below; {y} is the value
    link: str = " is "  # between the noun and the value


@dataclass(frozen=True)
class Case:
    task: Task
    x: str  # what it is asked about, "" when everything is in the text
    values: tuple  # right answers, one of them is shown
    text: str = ""  # the `### Input:` part

    @property
    def noun(self):
        return self.task.noun.format(x=self.x)

    def answer(self, i=0):
        """The statement that answers: 'The capital of France is Paris.'"""
        value = self.values[i % len(self.values)]
        return capital(self.noun) + self.task.link + value + ("" if value[-1] in ".!;" else ".")


def capital(sentence):
    return sentence[0].upper() + sentence[1:]


def lower(sentence):
    """For the middle of a sentence. Only statements that begin with an article come here."""
    return sentence[0].lower() + sentence[1:]


# Frames turn a noun phrase into an instruction. Those of the second line of each pair are never tuned on and never
# stand in the corpus: they are the unseen phrasings.
THE_FRAMES = (
    "What is {n}?", "Name {n}.", "Tell me {n}.", "Give {n}.", "Please give me {n}.", "Can you tell me {n}?",
    "I want to know {n}.", "{N}?", "{N}: what is it?",
)
THE_UNSEEN = ("Could you say what {n} is?", "{N}, please.", "I would like to hear {n}.", "Kindly state {n}.")
A_FRAMES = (
    "Write {n}.", "Give me {n}.", "Make {n}.", "Please write {n}.", "Can you write {n}?", "I want {n}.",
    "Show me {n}.", "{N}?", "{N}: can you write it?",
)
A_UNSEEN = ("Could you come up with {n}?", "{N}, please.", "I would like to have {n}.", "Kindly produce {n}.")

TASKS = [
    Task("capital", "question answering", "the capital of {x}",
         ("Which city is the capital of {x}?", "{x} has which capital?"), ("{y} is the capital of {x}.",)),
    Task("language", "question answering", "the language of {x}",
         ("Which language do people speak in {x}?", "What do people in {x} speak?"), ("People in {x} speak {y}.",)),
    Task("currency", "question answering", "the currency of {x}",
         ("Which money do people use in {x}?", "How do people pay in {x}?"), ("People in {x} pay with {y}.",)),
    Task("continent", "question answering", "the continent of {x}",
         ("Where in the world is {x}?", "On which continent is {x}?"), ("{x} is a country in {y}.",)),
    Task("young", "question answering", "the young of {x}",
         ("What do we call the young of {x}?", "What will grow up to be {x}?"), ("{Y} grows up to be {x}.",)),
    Task("sound", "question answering", "the sound of {x}",
         ("Which sound does {x} make?", "What do you hear from {x}?"), ("You hear {y} from {x}.",)),
    Task("home", "question answering", "the home of {x}",
         ("Where does {x} live?", "In what does {x} live?"), ("{X} lives in {y}.",)),
    Task("legs", "question answering", "the number of legs of {x}",
         ("How many legs does {x} have?", "Count the legs of {x}."), ("{X} has {y} legs.",)),
    Task("color", "question answering", "the color of {x}",
         ("Which color does {x} have?", "What does {x} look like?"), ("{X} has the color {y}.",)),
    Task("symbol", "question answering", "the symbol of {x}",
         ("How do chemists write {x}?", "Which letters stand for {x}?"), ("Chemists write {y} for {x}.",)),
    Task("workplace", "question answering", "the workplace of {x}",
         ("Where does {x} work?", "In which place does {x} work?"), ("{X} works in {y}.",)),
    Task("tool", "question answering", "the tool of {x}",
         ("What does {x} work with?", "Which tool does {x} use?"), ("{X} works with {y}.",)),
    Task("sides", "question answering", "the number of sides of {x}",
         ("How many sides does {x} have?", "Count the sides of {x}."), ("{X} has {y} sides.",)),
    Task("day_after", "question answering", "the day after {x}",
         ("Which day follows {x}?", "Which day is next after {x}?"), ("After {x} comes {y}.",)),
    Task("month_after", "question answering", "the month after {x}",
         ("Which month follows {x}?", "Which month is next after {x}?"), ("After {x} comes {y}.",)),
    Task("opposite", "language", "the opposite of {x}",
         ("Which word is the contrary of {x}?", "Which word does not go with {x}?"), ("Not {x} is {y}.",)),
    Task("plural", "language", "the plural of {x}",
         ("How do you write more than one {x}?", "One {x}, two what?"), ("One {x}, two {y}.",)),
    Task("past", "language", "the past tense of {x}",
         ("How do you say {x} in the past?", "Today I {x}. What did I do yesterday?"), ("Today we {x}, yesterday we {y}.",)),
    Task("comparative", "language", "the comparative of {x}",
         ("What is more than {x}?", "How do you compare with {x}?"), ("What is more than {x} is {y}.",)),
    Task("superlative", "language", "the superlative of {x}",
         ("What is more {x} than all others?", "What is the top of {x}?"), ("The most {x} of all is the {y}.",)),
    Task("korean", "translation", "the Korean word for {x}",
         ("Translate {x} to Korean.", "How do you say {x} in Korean?"), ("{x} - {y}", "In Korean, {x} is {y}.")),
    Task("english", "translation", "the English word for {x}",
         ("Translate {x} to English.", "What does {x} mean in English?"), ("{x} - {y}", "In English, {x} is {y}.")),
    Task("spanish", "translation", "the Spanish word for {x}",
         ("Translate {x} to Spanish.", "How do you say {x} in Spanish?"), ("{x} - {y}", "In Spanish, {x} is {y}.")),
    Task("korean_sentence", "translation", "the Korean translation of the {x}",
         ("Translate the {x} to Korean.", "How do you say this {x} in Korean?"), (), " is: "),
    Task("sum", "arithmetic", "the sum of {x}",
         ("What do you get if you add {x}?", "Add {x}."), ("If you add {x} you get {y}.",)),
    Task("double", "arithmetic", "the double of {x}",
         ("What is two times {x}?", "How much is {x} and {x} again?"), ("Two times {x} makes {y}.",)),
    Task("half", "arithmetic", "the half of {x}",
         ("What do you get if you share {x} by two?", "Cut {x} in two."), ("{x} shared by two makes {y}.",)),
    Task("number_after", "arithmetic", "the number after {x}",
         ("Which number follows {x}?", "What do you count after {x}?"), ("After {x} we count {y}.",)),
    Task("larger", "reasoning", "the larger of {x}",
         ("Which is more, {x}?", "Compare {x} and take the larger."), ("Of {x}, {y} is more.",)),
    Task("smaller", "reasoning", "the smaller of {x}",
         ("Which is less, {x}?", "Compare {x} and take the smaller."), ("Of {x}, {y} is less.",)),
    Task("where", "extraction", "the place of the {x}",
         ("Where is the {x}?", "Where can I find the {x}?"), ("The {x} is in {y}.",)),
    Task("taller", "reasoning", "the taller of {x}",
         ("Who is taller, {x}?", "Compare {x}. Who is taller?"), ("Of {x}, {y} is taller.",)),
    Task("conclusion", "reasoning", "the conclusion about {x}",
         ("What follows about {x}?", "What can we conclude about {x}?"), ("It follows that {y}.",), " is: "),
    Task("class", "classification", "the class of {x}",
         ("To which class does {x} belong?", "What kind of animal is {x}?"), ("{X} is {y}.",)),
    Task("sentiment", "classification", "the sentiment of the {x}",
         ("Is the {x} positive or negative?", "How does the writer of the {x} feel?"), ("The writer feels {y}.",)),
    Task("topic", "classification", "the topic of the {x}",
         ("What is the {x} about?", "Sort the {x} by topic."), ("The {x} is about {y}.",)),
    Task("name", "extraction", "the name in the {x}",
         ("Who is in the {x}?", "Which person is in the {x}?"), ("The {x} names {y}.",)),
    Task("city", "extraction", "the city in the {x}",
         ("Where does the {x} take place?", "Which city is in the {x}?"), ("It took place in {y}.",)),
    Task("day", "extraction", "the day in the {x}",
         ("When did the {x} take place?", "Which day is in the {x}?"), ("It was on {y}.",)),
    Task("object", "extraction", "the thing in the {x}",
         ("What was bought in the {x}?", "Which thing is in the {x}?"), ("It is about {y}.",)),
    Task("past_form", "rewriting", "the past form of the {x}",
         ("Rewrite the {x} in the past.", "Put the {x} into the past."), ("In the past: {y}",), " is: "),
    Task("negative_form", "rewriting", "the negative form of the {x}",
         ("Say that the {x} is not so.", "Negate the {x}."), ("Negated: {y}",), " is: "),
    Task("passive_form", "rewriting", "the passive form of the {x}",
         ("Rewrite the {x} in the passive.", "Put the {x} into the passive."), ("In the passive: {y}",), " is: "),
    Task("polite_form", "rewriting", "the polite form of the {x}",
         ("Make the {x} polite.", "Rewrite the {x} more politely."), ("More politely: {y}",), " is: "),
    Task("first_item", "listing", "the first word of the {x}",
         ("Which word comes first in the {x}?", "How does the {x} begin?"), ("The {x} begins with {y}.",)),
    Task("last_item", "listing", "the last word of the {x}",
         ("Which word comes last in the {x}?", "How does the {x} end?"), ("The {x} ends with {y}.",)),
    Task("three", "listing", "a list of three {x}",
         ("List three {x}.", "Which {x} do you know? List three."), (), " is: "),
    Task("summary", "summarizing", "the summary of the {x}",
         ("Summarize the {x}.", "Tell the {x} in one sentence."), ("In short: {y}",), " is: "),
    Task("title", "summarizing", "the title of the {x}",
         ("How would you call the {x}?", "Find a headline for the {x}."), ("The {x} is called: {y}",), " is: "),
    Task("sql_all", "SQL", "a SQL query that shows all rows of the table {x}",
         ("How do I see the whole table {x} in SQL?",), ("To see the whole table {x}, write {y}",), " is: "),
    Task("sql_count", "SQL", "a SQL query that counts the rows of the table {x}",
         ("How many rows has the table {x}? Ask in SQL.",), ("To count the table {x}, write {y}",), " is: "),
    Task("sql_column", "SQL", "a SQL query that shows the {x}",
         ("In SQL, how do I see the {x}?",), ("To see the {x}, write {y}",), " is: "),
    Task("sql_order", "SQL", "a SQL query that sorts the {x}",
         ("In SQL, how do I sort the {x}?",), ("To sort the {x}, write {y}",), " is: "),
    Task("story", "creative writing", "a story about {x}",
         ("Tell me a tale about {x}.", "Make up a story about {x}."), (), " is: "),
    Task("poem", "creative writing", "a poem about {x}",
         ("Rhyme something about {x}.", "Be a poet and sing of {x}."), (), " is: "),
    Task("sentence", "creative writing", "a sentence with the word {x}",
         ("Use the word {x} in a sentence.", "Show how the word {x} is used."), (), " is: "),
    Task("wish", "creative writing", "a birthday wish for {x}",
         ("It is the birthday of {x}. What do I write?", "Congratulate {x}."), (), " is: "),
]
TASKS = {task.name: task for task in TASKS}
HELD_OUT = (
    "currency",
    "young",
    "color",
    "plural",
    "spanish",
    "half",
    "city",
    "last_item",
    "negative_form",
    "sql_count",
)
PATTERNS = ("SQL", "creative writing")  # made by a pattern, so a few examples teach them
KINDS = tuple(dict.fromkeys(task.kind for task in TASKS.values()))


def phrasings(task):
    """Ways of asking that tuning may use."""
    return (THE_FRAMES if task.noun.startswith("the ") else A_FRAMES) + task.asks


def unseen_phrasings(task):
    """Ways of asking that stand neither in the tuning pairs nor in the corpus."""
    return THE_UNSEEN if task.noun.startswith("the ") else A_UNSEEN


def ask(phrasing, case):
    """A phrasing and a case -> the instruction."""
    return capital(phrasing.format(n=case.noun, N=capital(case.noun), x=case.x))


# ----------------------------------------------------------------------------------------------------------------
# Cases of facts: everything that the tables above state, about 900 in all.


def pairs_of(text):
    return [entry.split() for entry in text.replace("\n", " ").split(",")]


def a(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


def fact_cases():
    """-> list of Case, the same at every call."""
    facts = []  # (task, x, value)
    for rows in (COUNTRIES, ANIMALS, THINGS, ELEMENTS, JOBS, DEGREES, WORDS, SHAPES):
        for row in rows:
            facts += [(column, row["x"], value) for column, value in row.items() if column != "x" and value != "-"]
    facts += [("english", row["korean"], row["x"]) for row in WORDS]
    for one, other in pairs_of(OPPOSITES):
        facts += [("opposite", one, other), ("opposite", other, one)]
    facts += [("plural", one, many) for one, many in pairs_of(PLURALS)]
    facts += [("past", now, then) for now, then in pairs_of(PASTS)]
    facts += [("day_after", day, DAYS[(i + 1) % 7]) for i, day in enumerate(DAYS)]
    facts += [("month_after", month, MONTHS[(i + 1) % 12]) for i, month in enumerate(MONTHS)]
    for i in range(1, 6):
        for j in range(1, 6):
            facts += [("sum", f"{i} and {j}", i + j)] * (i < 5 and j < 5)
            facts += [("larger", f"{i} and {j}", max(i, j)), ("smaller", f"{i} and {j}", min(i, j))] * (i != j)
    for i in range(1, 13):
        facts += [("double", i, 2 * i), ("half", 2 * i, i), ("number_after", i, i + 1)]
    cases = [Case(TASKS[name], str(x), (str(value),)) for name, x, value in facts]

    def add(name, x, *values):
        cases.append(Case(TASKS[name], x, values))

    for row in KINDS_OF_THINGS:
        p, q, r, s = row["members"].split(", ")
        add("three", row["x"], f"{p}, {q}, {r}", f"{q}, {r}, {s}", f"{s}, {p}, {q}", f"{r}, {s}, {p}")
    for t in TABLES:
        add("sql_all", t, f"SELECT * FROM {t};")
        add("sql_count", t, f"SELECT COUNT(*) FROM {t};")
        for column in COLUMNS:
            add("sql_column", f"{column} of all {t}", f"SELECT {column} FROM {t};")
            add("sql_order", f"{t} by {column}", f"SELECT * FROM {t} ORDER BY {column};")
    for hero in HEROES:
        for place in SETTINGS:
            add("story", f"{a(hero)} and {a(place)}",
                f"One day {a(hero)} came to {a(place)}. The {hero} was very happy. It stayed at the {place} for ever.",
                f"Once {a(hero)} lived near {a(place)}. Every day the {hero} sat there. It loved the {place}.",
                f"Long ago {a(hero)} lost its way. It saw {a(place)} and slept. The {place} became its home.")
    for row in WORDS[8:]:
        add("poem", f"the {row['x']}", *(poem.format(x=f"the {row['x']}") for poem in POEMS))
    for word in OBJECTS + [row["x"] for row in WORDS[:8]]:
        add("sentence", word, f"The {word} is not here.", f"I see the {word}.", f"I like the {word}.")
    for name in NAMES:
        add("wish", name, f"Happy birthday, dear {name}!")
    return cases


# ----------------------------------------------------------------------------------------------------------------
# Cases in a text: the answer stands in the `### Input:` part or follows from it. Every maker draws one short text and
# returns the cases that can be asked about it.


def cases_of(text, x="", **values):
    return [Case(TASKS[name], x, (str(value),), text) for name, value in values.items()]


def purchase(rng):
    name, thing, city, day = (rng.choice(words) for words in (NAMES, OBJECTS, CITIES, DAYS))
    form = rng.choice(
        ("On {d} {n} bought {t} in {c}.", "{n} bought {t} in {c} on {d}.", "In {c}, {n} bought {t} on {d}.")
    )
    label = rng.choice(("note", "report"))
    return cases_of(
        form.format(d=day, n=name, t=a(thing), c=city), label, name=name, city=city, day=day, object=a(thing)
    )


def word_list(rng):
    pool = sorted({*OBJECTS, *(row["x"] for row in WORDS)})
    words = rng.sample(pool, rng.randint(3, 5))
    label = rng.choice(("list", "row"))
    return cases_of(", ".join(words) + ".", label, first_item=words[0], last_item=words[-1])


def base_form(verb):
    """opens -> open, carries -> carry"""
    return verb["x"].replace("ies", "ys")[:-1]


def action(rng):
    name, verb, thing = rng.choice(NAMES), rng.choice(VERBS), rng.choice(OBJECTS)
    return cases_of(
        f"{name} {verb['x']} the {thing}.",
        rng.choice(("sentence", "line")),
        past_form=f"{name} {verb['past']} the {thing}.",
        negative_form=f"{name} does not {base_form(verb)} the {thing}.",
        passive_form=f"The {thing} is {verb['done']} by {name}.",
    )


def request(rng):
    verb, thing = base_form(rng.choice(VERBS)), rng.choice(OBJECTS)
    return cases_of(
        f"{capital(verb)} the {thing}.", rng.choice(("order", "request")), polite_form=f"Please {verb} the {thing}."
    )


def hiding(rng):
    thing, place = rng.choice(OBJECTS), rng.choice(HOLDERS)
    return cases_of(f"{rng.choice(NAMES)} put the {thing} in the {place}.", thing, where=f"the {place}")


def heights(rng):
    tall, short = rng.sample(NAMES, 2)
    return cases_of(
        f"{tall} is taller than {short}.", rng.choice((f"{tall} and {short}", f"{short} and {tall}")), taller=tall
    )


def chain(rng):
    row = rng.choice(CHAINS)
    middle, top = row["chain"].split(", ")
    return cases_of(
        f"All {row['x']} are {middle}. All {middle} are {top}.", row["x"], conclusion=f"all {row['x']} are {top}"
    )


def opinion(rng):
    thing = rng.choice(OPINIONS)
    sentiment, words = rng.choice((("positive", GOOD), ("negative", BAD)))
    return cases_of(f"The {thing} was {rng.choice(words)}.", rng.choice(("review", "comment")), sentiment=sentiment)


def topic(rng):
    row = rng.choice(TOPICS)
    return cases_of(rng.choice(row["texts"].split(", ")), rng.choice(("text", "article")), topic=row["x"])


def tale(rng):
    (n, m), thing, place = rng.sample(NAMES, 2), rng.choice(OBJECTS), rng.choice(HOLDERS)
    text, summary, title = rng.choice((
        ("{n} lost a {t} in the {p}. {n} was sad. Then {m} found the {t}.", "{m} found the {t} of {n}.", "The lost {t}."),
        ("{n} wanted a {t}. {m} had two. So {m} gave one to {n}.", "{m} gave a {t} to {n}.", "The gift of {m}."),
        ("A {t} lay in the {p}. Nobody saw it. Then {n} took the {t} home.", "{n} took a {t} home.", "The {t} in the {p}."),
    ))
    text, summary, title = (part.format(n=n, m=m, t=thing, p=place) for part in (text, summary, title))
    return cases_of(text, rng.choice(("story", "tale")), summary=summary, title=title)


def korean_sentence(rng):
    verb, row = rng.choice(list(KOREAN_VERBS)), rng.choice(WORDS[:12])
    # Hangul syllables are ordered so that every 28th has no final consonant; the object particle depends on it.
    particle = "를" if (ord(row["korean"][-1]) - 0xAC00) % 28 == 0 else "을"
    return cases_of(
        f"I {verb} the {row['x']}.",
        rng.choice(("sentence", "line")),
        korean_sentence=f"나는 {row['korean']}{particle} {KOREAN_VERBS[verb]}.",
    )


MAKERS = (purchase, word_list, action, request, hiding, heights, chain, opinion, topic, tale, korean_sentence)


# ----------------------------------------------------------------------------------------------------------------
# Prose: how the corpus tells, asks and repeats. Each function writes one passage.

WRAPPERS = (
    "{S}", "{S}", "{S}", "{S}", "It is true that {s}", "The teacher said: {S}", "Everybody knows that {s}",
    "In the book we read that {s}",
)


def tell(case, rng):
    """One statement of the case, in one of five or more paraphrases."""
    if case.task.tells and rng.random() < 0.2:
        y = case.values[0]
        told = rng.choice(case.task.tells).format(x=case.x, X=capital(case.x or " "), y=y, Y=capital(y))
        return told if told[-1] in ".;" else told + "."
    statement = case.answer(rng.randrange(len(case.values)))
    return rng.choice(WRAPPERS).format(S=statement, s=lower(statement))


def told_facts(cases, rng):
    return " ".join(tell(case, rng) for case in cases)


LEADS = (
    "Question:\n",
    "Somebody asks: ",
    "Page {i}\n\n",
    "# {i}\n",
    "{name}: ",
    "{name} asked: ",
    "## Questions\n\n",
    "A pupil asks this.\n",
)
GAPS = (
    " ", "\n", "\n\n", "\n\nAbout:\n", "\n\n# Subject\n", " asked {name}. ", " That is the question.\n", "\n\n## Notes\n",
    " {name} would like to know. ", "\n\n### Page {i}:\n", " Let us see what it is about. ", "\n\nTopic {i}:\n",
)


def filled(form, rng):
    return form.format(name=rng.choice(NAMES), i=rng.randint(1, 99))


def gap(rng):
    """What stands between two parts of a page. It is long or short, so that copying must go by content, not distance."""
    return filled(rng.choice(GAPS), rng)


def told_text(group, rng):
    """A short text, statements about it, and the text again: no passage ends right after a statement, so that to stop
    there is left for tuning to teach."""
    cases = rng.sample(group, min(len(group), rng.randint(2, 4)))
    text, between = cases[0].text, rng.choice((" ", gap(rng)))
    return text + between + " ".join(tell(case, rng) for case in cases) + " " + text


def told_often(group, rng):
    """A short text again and again, statements about it between: copying is easiest to learn where much repeats."""
    return " ".join(f"{case.text} {case.answer()}" for case in rng.choices(group, k=3)) + " " + group[0].text


def echoed(rng):
    """A few words, four times over."""
    pool = NAMES + OBJECTS + CITIES + HOLDERS + DAYS + [row["x"] for row in WORDS]
    between, after = rng.choice((" ", ", ")), rng.choice((" . ", ". "))
    return after.join([between.join(rng.sample(pool, rng.randint(3, 6)))] * 4)


def questions(cases, rng):
    return " ".join(ask(rng.choice(phrasings(case.task)), case) for case in cases)


def asked_about(cases, rng):
    """Questions (after the text they are about, perhaps), each with the name of what it asks for, never answered."""
    text = cases[0].text + " " if cases[0].text and rng.random() < 0.6 else ""
    return text + " ".join(f"{ask(rng.choice(phrasings(case.task)), case)} {capital(case.noun)}." for case in cases)


def talked_about(case, rng):
    """A page that raises one question (about a text, perhaps) and names what it asks for, without an answer."""
    text = gap(rng) + case.text if case.text else ""
    question = ask(rng.choice(phrasings(case.task)), case)
    return f"{filled(rng.choice(LEADS), rng)}{question}{text}{gap(rng)}{capital(case.noun)}."


# ----------------------------------------------------------------------------------------------------------------
# The whole: a corpus, tuning pairs and three held-out splits.

# What the corpus holds, chapter after chapter: how many passages, and the share of each kind. It is read in this order,
# like a primer: first what questions ask for and how to repeat, then what texts say, then the facts of the world.
CHAPTERS = (
    (4400, {"asked_about": 40, "echoed": 25, "told_often": 35}),
    (8000, {"told_text": 30, "told_often": 15, "asked_about": 5, "talked_about": 40, "echoed": 5, "told_facts": 5}),
    (23000, {"told_facts": 32, "told_text": 26, "talked_about": 31, "asked_about": 8, "questions": 3}),
)


@dataclass(frozen=True)
class World:
    corpus: list  # passages of prose, in the order in which they are read
    pairs: list  # rows to tune on: {"instruction", "input", "output", "task"}
    splits: dict  # name of a held-out split -> rows like those


def text_groups(maker, rng, n):
    """n (or as many as there are) groups of cases, every group about another text."""
    groups = {}
    for _ in range(20 * n):
        cases = maker(rng)
        groups.setdefault(cases[0].text, cases)
        if len(groups) == n:
            break
    return list(groups.values())


def row(case, phrasing, i=0, bare=False):
    output = case.answer(i)
    if bare and case.task.link == " is ":
        output = case.values[0] + "."
    return {"instruction": ask(phrasing, case), "input": case.text, "output": output, "task": case.task.name}


def by_name(cases):
    """-> {task: its cases}"""
    return {name: [case for case in cases if case.task.name == name] for name in TASKS}


def split_cases(rng):
    """-> {task: cases to tune on}, {task: cases never tuned on}, groups of cases about one text. Cases of one text go
    to one side together."""
    seen, unseen = {name: [] for name in TASKS}, {name: [] for name in TASKS}
    for name, cases in by_name(fact_cases()).items():
        rng.shuffle(cases)
        cases.sort(key=lambda case: case.x != "France")  # everybody's first question is about France
        n = min(8, max(2, len(cases) // 5))
        unseen[name] += cases[:n]
        seen[name] += cases[n:]
    groups = []
    for maker in MAKERS:
        drawn = text_groups(maker, rng, 80)
        for i, group in enumerate(drawn):
            for case in group:
                (unseen if i < max(3, len(drawn) // 5) else seen)[case.task.name].append(case)
        groups.append(drawn)
    return seen, unseen, groups


def write_corpus(rng, groups, size, without=(), unasked=()):
    """-> passages. Facts take turns, so that all are told equally often; texts are drawn anew as well as repeated.

    For experiments: `without` some kinds of passage (others take their places), without questions of the tasks
    `unasked`."""
    cases = fact_cases() + [case for drawn in groups for group in drawn for case in group]
    by_task = by_name(cases)
    siblings = {}  # what else is known about the same thing, or asked about the same text
    for case in cases:
        if case.task.name not in unasked:
            siblings.setdefault(case.text or case.x, []).append(case)
    about_texts = [name for name in TASKS if by_task[name][0].text]
    names = list(TASKS) + about_texts  # these are harder to learn, so they are asked twice as often
    names = [name for name in names if name not in unasked]
    decks, turns = {name: [] for name in TASKS if name not in about_texts}, []

    def deal(name, n):
        if len(decks[name]) < n:
            decks[name] += rng.sample(by_task[name], len(by_task[name]))
        return [decks[name].pop() for _ in range(n)]

    def next_facts():
        if len(turns) < 3:
            for name in decks:
                turns.extend(deal(name, min(len(by_task[name]), 8 if TASKS[name].kind in PATTERNS else 30)))
            rng.shuffle(turns)
        return [turns.pop() for _ in range(3)]

    def any_case():
        return rng.choice(by_task[rng.choice(names)])

    def some_cases():
        case = any_case()
        return rng.choices(siblings[case.text or case.x], k=3)

    def any_text():
        (i,) = rng.choices(range(len(MAKERS)), [len(drawn[0]) for drawn in groups])  # the more to ask, the more often
        return MAKERS[i](rng) if rng.random() < 0.7 else rng.choice(groups[i])

    write = {
        "told_facts": lambda: told_facts(next_facts(), rng) + " " + questions([any_case()], rng),
        "told_text": lambda: told_text(any_text(), rng),
        "told_often": lambda: told_often(any_text(), rng),
        "echoed": lambda: echoed(rng),
        "questions": lambda: questions([any_case() for _ in range(rng.randint(3, 5))], rng),
        "asked_about": lambda: asked_about(some_cases(), rng),
        "talked_about": lambda: talked_about(any_case(), rng),
    }
    corpus = []
    for n, shares in CHAPTERS:
        shares = {kind: share for kind, share in shares.items() if kind not in without}
        kinds = rng.choices(list(shares), list(shares.values()), k=int(n * size)) if shares else []
        corpus += [write[kind]() for kind in kinds]
    return corpus


PASSAGES = tuple(dict.fromkeys(kind for _, shares in CHAPTERS for kind in shares))
HELD_OUT_QUESTIONS = "held_out_questions"


def build(seed=0, held_out=HELD_OUT, size=1.0, without=(), ways=0, bare=False):
    """The world from a seed. `held_out`: tasks never tuned on. `size`: 0.1 makes a tenth of the corpus.

    For experiments: `without` takes kinds of PASSAGES out of the corpus, or all HELD_OUT_QUESTIONS, the questions of the
    tasks held out; `ways` tunes on so many phrasings of a task (0: all); `bare` answers with the value alone."""
    rng = random.Random(seed)
    seen, unseen, groups = split_cases(rng)
    pairs, splits = [], {"unseen_inputs": [], "unseen_phrasings": [], "unseen_tasks": []}
    for name, task in TASKS.items():
        all_ways = phrasings(task)
        if name in held_out:
            cases = seen[name] + unseen[name]
            cases = rng.sample(cases, min(20, len(cases)))
            splits["unseen_tasks"] += [row(case, rng.choice(all_ways), bare=bare) for case in cases]
            continue
        choices = [(case, way) for case in seen[name] for way in (all_ways[:ways] if ways else all_ways)]
        pairs += [row(case, way, rng.randrange(4), bare) for case, way in rng.sample(choices, min(80, len(choices)))]
        asked = [(case, all_ways[0] if case.x == "France" else rng.choice(all_ways)) for case in unseen[name][:6]]
        splits["unseen_inputs"] += [row(case, way, bare=bare) for case, way in asked]
        splits["unseen_phrasings"] += [row(rng.choice(seen[name]), way, bare=bare) for way in unseen_phrasings(task)]
    rng.shuffle(pairs)
    unasked = held_out if HELD_OUT_QUESTIONS in without else ()
    return World(write_corpus(rng, groups, size, without, unasked), pairs, splits)


# ----------------------------------------------------------------------------------------------------------------
# Is it right? Exactly the statement, where there is one right answer; a rule where there are many.


def sentences(text):
    return re.findall(r"[^.!?]+[.!?]", text)


def right_story(x, text):
    hero, place = x.replace("an ", "").replace("a ", "").split(" and ")
    found = [sentence.split() for sentence in sentences(text)]
    whole = len(found) >= 3 and all(4 <= len(words) <= 15 for words in found) and ":" not in text
    return hero in text and place in text and whole and all(found.count(words) == 1 for words in found)


def right_poem(x, text):
    lines = [re.findall(r"\w+", part) for part in text.split(",")]
    last = {words[-1] for words in lines if words}
    rhymes = ({"night", "light"}, {"so", "go"}, {"me", "tree"})
    one = len(sentences(text)) == 1 and text.endswith(".") and ":" not in text and len(text.split()) <= 24
    return one and text.count(x) >= 2 and any(pair <= last for pair in rhymes)


def right_sentence(x, text):
    words = re.findall(r"\w+", text)
    return (
        x in words and 3 <= len(words) <= 12 and len(sentences(text)) == 1 and text[0].isupper() and text[-1] in ".!?"
    )


def right_three(x, text):
    members = next(row["members"] for row in KINDS_OF_THINGS if row["x"] == x).split(", ")
    named = text.rstrip(".").split(", ")
    return text.endswith(".") and len(named) == len(set(named)) == 3 and set(named) <= set(members)


RULES = {"story": right_story, "poem": right_poem, "sentence": right_sentence, "three": right_three}


def check(task, expected, output):
    """Is `output` a right answer where `expected` is one? Strict: the whole statement and nothing after it."""
    output = output.strip()
    if task not in RULES or " is: " not in expected:  # a task of that name may be of somebody's own file
        return output == expected
    head, _ = expected.split(" is: ", 1)
    before, after = TASKS[task].noun.split("{x}")
    x = head[len(before) : len(head) - len(after)]
    return output.startswith(f"{head} is: ") and RULES[task](x, output[len(head) + 5 :])


# ----------------------------------------------------------------------------------------------------------------


def parse_args():
    def names_from(known):
        def parse(text):
            for name in text.split(","):
                if name not in known:
                    raise argparse.ArgumentTypeError(f"{name}: unknown. Known: {', '.join(known)}")
            return text.split(",")

        return parse

    parser = argparse.ArgumentParser(description="Counts and samples of the world; with a folder, its files.")
    parser.add_argument("folder", nargs="?", help="write corpus.txt, pairs.jsonl and the held-out splits there")
    parser.add_argument("--seed", type=int, default=0, help="another draw of what is tuned on and held out")
    parser.add_argument("--hold-out", type=names_from(TASKS), default=HELD_OUT, help="tasks never tuned on")
    parser.add_argument("--without", type=names_from((*PASSAGES, HELD_OUT_QUESTIONS)), default=(),
                        help=f"kinds of passage to leave out: {', '.join((*PASSAGES, HELD_OUT_QUESTIONS))}")
    parser.add_argument("--ways", type=int, default=0, help="pairs in so many phrasings of a task (0: all)")
    parser.add_argument("--bare", action="store_true", help="answers are the value alone instead of a whole sentence")
    return parser.parse_args()


def main():
    args = parse_args()
    world = build(args.seed, args.hold_out, without=args.without, ways=args.ways, bare=args.bare)
    words = sum(len(passage.split()) for passage in world.corpus)
    print(f"{len(TASKS)} task types of {len(KINDS)} kinds, {len(fact_cases())} facts and cases in tables")
    print(f"corpus: {len(world.corpus):,} passages, {words:,} words; pairs: {len(world.pairs):,}; held out: " +
          ", ".join(f"{len(rows)} {name}" for name, rows in world.splits.items()))
    rng = random.Random(1)
    print("\nFrom the corpus:", *rng.sample(world.corpus, 8), sep="\n  ")
    print("\nFrom the pairs:")
    for pair in rng.sample(world.pairs, 8):
        print("  " + json.dumps(pair, ensure_ascii=False))
    if not args.folder:
        return
    folder = Path(args.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "corpus.txt").write_text("\n\n".join(world.corpus) + "\n", encoding="utf-8")
        for name, rows in {"pairs": world.pairs, **world.splits}.items():
            lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in rows)
            (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    except OSError as error:
        print(f"error: {folder}: cannot be written: {error.strerror}. Choose another folder.", file=sys.stderr)
        sys.exit(2)
    print(f"\nWritten to {folder}: corpus.txt, pairs.jsonl and the held-out splits. Take them back with\n"
          f"  python train_sft.py --fresh --corpus {folder}/corpus.txt --data {folder}")


if __name__ == "__main__":
    main()
