"""The words of the built-in world: tables of facts, words for short texts, ways of asking. Nothing but data.

Change a cell ("Paris" to "Lyonville"), run `python train_sft.py --fresh --out my_out`, and ask. `world.py` says what is
made of it.
"""


# ----------------------------------------------------------------------------------------------------------------
# Facts. A table is text: a header line, then one thing a line. "-" means that it is not asked.


def table(text):
    """'a | b' lines -> list of rows, each a dict from the header's names to the cells."""
    header, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    assert all(len(line) == len(header) for line in lines), header
    return [dict(zip(header, line)) for line in lines]


def listed(column, text):
    """The same for a table of two columns, written as 'a: b, c: d'."""
    entries = [entry.split(": ") for entry in text.strip().replace("\n", " ").split(", ")]
    return [{"x": x, column: value} for x, value in entries]


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
THINGS = listed("color", """
a banana: yellow, a lemon: yellow, grass: green, broccoli: green, a cucumber: green, an emerald: green, snow: white,
milk: white, sugar: white, coal: black, a raven: black, blood: red, a tomato: red, a cherry: red, the sky: blue,
the sea: blue, a carrot: orange, a pumpkin: orange, chocolate: brown, a flamingo: pink, an elephant: gray""")
ELEMENTS = listed("symbol", """
hydrogen: H, helium: He, carbon: C, nitrogen: N, oxygen: O, sodium: Na, iron: Fe, copper: Cu, zinc: Zn, silver: Ag,
gold: Au, lead: Pb, tin: Sn, mercury: Hg, neon: Ne, potassium: K""")
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
SHAPES = listed("sides", """
a triangle: three, a square: four, a rectangle: four, a pentagon: five, a hexagon: six, a heptagon: seven,
an octagon: eight""")
VEHICLES = listed("wheels", """
a unicycle: one, a wheelbarrow: one, a bicycle: two, a motorcycle: two, a tricycle: three, a car: four, a taxi: four,
a truck: six""")
CHAINS = listed("chain", """
roses: flowers plants, tulips: flowers plants, oaks: trees plants, pines: trees plants, crows: birds animals,
owls: birds animals, swans: birds animals, ants: insects animals, bees: insects animals, dogs: mammals animals,
cats: mammals animals, horses: mammals animals, sharks: fish animals, salmon: fish animals, hammers: tools things,
saws: tools things, chairs: furniture things, tables: furniture things""")
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
COLUMNS = "name weight size price age".split()
HEROES = "fox cat dog bear mouse owl frog horse".split()
SETTINGS = "river forest mountain castle garden lake cave bridge".split()
POEMS = (
    "{x} by day and {x} by night, {x} in the morning light.",
    "I love {x}, I love it so, I take {x} wherever I go.",
    "O {x}, dear {x}, stay with me, under the old apple tree.",
)
KOREAN_VERBS = {"like": "좋아해요", "see": "봐요", "draw": "그려요", "want": "원해요"}

# ----------------------------------------------------------------------------------------------------------------
# Ways of asking. A frame turns the noun phrase {n} into an instruction; {b} is it without its article, {h} and {x} are
# what stands before and after its first "of", {w} is {x} without its article. The first frames stand in the prose too;
# the unseen ones stand nowhere.

THE_FRAMES = ("What is {n}?", "Name {n}.", "Tell me {n}.", "Give {n}.", "Please give me {n}.", "Can you tell me {n}?",
              "I want to know {n}.", "{N}?", "{N}: what is it?")
A_FRAMES = ("Write {n}.", "Give me {n}.", "Make {n}.", "Please write {n}.", "Can you write {n}?", "I want {n}.",
            "Show me {n}.", "{N}?", "{N}: can you write it?")
THE_UNSEEN = ("Could you say what {n} is?", "{N}, please.", "I would like to hear {n}.", "Kindly state {n}.")
A_UNSEEN = ("Could you come up with {n}?", "{N}, please.", "I would like to have {n}.", "Kindly produce {n}.")
THE_MORE = (
    "Say {n}.", "Do you know {n}?", "What about {n}?", "Let me know {n}.", "{N}!", "I need {n}.", "Find {n}.", "{b}",
    "I am looking for {n}.", "Help me with {n}.", "Answer this: what is {n}?", "My question is about {n}.", "{b}?",
    "Look up {n}.", "We need {n} now.", "Write down {n} for me.", "What's {n}?", "{N} is what?", "what is {b}", "{n}",
    "{N} is called what?", "What do you call {n}?", "Which one is {n}?", "I forgot {n}. What is it?", "tell me {b}",
    "Do you remember {n}?", "Remind me of {n}.", "Who knows {n}?", "What was {n} again?", "Would you tell me {n}?",
    "Will you name {n}?", "I have to find out {n}.", "Do you happen to know {n}?", "By which name does {n} go?",
    "How would you call {n}?", "{N} - which is it?", "In one sentence: what is {n}?", "Is there a name for {n}?",
    "Do you know what {n} is?", "Tell me what {n} is.", "I want to hear {n}.", "{N} now.", "Name me {n}.", "{b} is?",
    "{N}, and quickly.")
OF_MORE = (
    "{x}: {h}?", "{x}, {h}?", "{x}'s {h}?", "{x}'s {h} is what?", "What is {x}'s {h}?", "What's {x}'s {h}?",
    "Which {h} does {x} have?", "Which {h} belongs to {x}?", "For {x}, what is the {h}?", "What {h} goes with {x}?",
    "About {x}: what is the {h}?", "{x} has which {h}?", "Take {x}. What is the {h}?", "What {h} does {x} have?",
    "Think of {x} and tell me the {h}.", "What is the name of the {h} of {x}?", "{x} - what is its {h}?",
    "{x}'s {h} is called what?", "{x} has what as its {h}?", "{w} has which {h}?")
SHORT = (  # keywords
    "{h} {w}", "{w} {h}", "{w} {h}?", "{h} of {w}", "{h} of {w}?", "{w}, {h}?", "{w}: {h}", "{h}: {w}?", "{h} for {w}",
    "what is {w} {h}", "{w}'s {h}", "the {h} of {w} is", "what {h} {w}", "{h} of {x}", "{h} {w} please", "{h} in {w}?")
A_MORE = (
    "Do {n}.", "I need {n}.", "Let me have {n}.", "Compose {n}.", "Please make {n}.", "{N}!", "Could I get {n}?", "{b}",
    "We need {n} now.", "Write me {n}.", "Would you write {n}?", "Help me write {n}.", "write {b}", "Find {n}.",
    "I am looking for {n}.", "Think of {n}.", "Will you make {n}?", "Please show {n}.", "Try to write {n}.",
    "Will you think up {n}?", "{N} now.", "I want to read {n}.", "{N}, and quickly.")
OPENERS = ("Hi! ", "Hello. ", "Hey, ", "Quick question: ", "For my homework: ", "I forgot. ", "Sorry to ask. ", "So, ",
           "Well, ", "Please: ", "Excuse me, ", "A friend asks: ", "My son asks: ", "For a quiz: ", "Listen, ",
           "I always mix this up. ", "Test tomorrow. ", "I am not sure, ", "Please help. ", "One more: ")
CLOSERS = (" Thanks.", " Thank you!", " I forgot.", " Do you know?", " It is for school.", " In a whole sentence.",
           " Any idea?", " I can't remember.", " Help me out.", " thanks")

# ----------------------------------------------------------------------------------------------------------------
# Tasks: name, kind, noun phrase, ways of asking, start (see Task in world.py).

HERE = "Here is "  # what is written anew (a story, a query, a summary) is handed over: "Here is a story about ...: One day"

TASK_ROWS = [
    ("capital", "question answering", "the capital of {x}",
     ("From which city is {x} governed?", "Where does the government of {x} sit?",
      "What is the main city of {x}?", "Which city is the capital of {x}?", "What is the capital city of {x}?",
      "Which town is the capital of {x}?", "{x} has which capital?", " -> {y} is the capital of {x}.")),
    ("language", "question answering", "the language of {x}",
     ("What do I hear on the streets of {x}?", "What must I learn to speak for {x}?",
      "What do they speak in {x}?", "Which language is spoken in {x}?", "What language do they speak in {x}?",
      "Which language do people speak in {x}?", "What do people in {x} speak? -> People in {x} speak {y}.")),
    ("currency", "question answering", "the currency of {x}",
     ("What do I pay with in {x}?", "Which money do people use in {x}?",
      "What currency does {x} use?", "With what do people in {x} pay? -> People in {x} pay with {y}.")),
    ("continent", "question answering", "the continent of {x}",
     ("In what part of the world is {x}?", "To which continent do I travel to see {x}?",
      "Where can I find {x}?", "What continent is {x} on?", "In which continent does {x} lie?",
      "On which continent is {x}?", "Where in the world is {x}? -> {x} is in {y}.")),
    ("young", "question answering", "the young of {x}",
     ("What do we call a little {w}?", "What does {x} give birth to?", "A baby {w} is called what?",
      "What do you call the baby of {x}?", "What is a young {w} called?",
      "As what is {x} born? -> {X} is born as {y}.")),
    ("sound", "question answering", "the sound of {x}",
     ("How does {x} go?", "How does {x} sound?", "What noise does {x} make?",
      "What does {x} say?", "What sound does {x} make?", "Which sound does {x} make?",
      "What do you hear from {x}? -> From {x} you hear {y}.")),
    ("home", "question answering", "the home of {x}",
     ("Where would I look for {x}?", "Where do you find {x} living?", "What does {x} live in?",
      "Where does {x} sleep?", "Which home does {x} have?", "Where does {x} live? -> {X} lives in {y}.")),
    ("legs", "question answering", "the number of legs of {x}",
     ("How many legs are there on {x}?", "On how many legs does {x} stand?",
      "On how many legs does {x} walk?", "How many legs has {x}?", "Count the legs of {x}.",
      "How many legs does {x} have? -> {X} has {y} legs.")),
    ("color", "question answering", "the color of {x}",
     ("Which color does {x} have?", "In what color do I paint {x}?",
      "What color is {x}?", "What does {x} look like? -> {X} looks {y}.")),
    ("symbol", "question answering", "the symbol of {x}",
     ("How is {x} abbreviated?", "What is short for {x} in a formula?", "Which letters stand for {x}?",
      "How is {x} written in chemistry?", "What is the symbol for {x}?", "What is the chemical symbol of {x}?",
      "Which symbol stands for {x}?", "How do chemists write {x}? -> Chemists write {x} as {y}.")),
    ("workplace", "question answering", "the workplace of {x}",
     ("Where do you see {x} working?", "Where does {x} go in the morning to work?", "In what place does {x} earn money?",
      "Where can I find {x} at work?", "At which workplace do you find {x}?",
      "Where does {x} work? -> {X} works in {y}.")),
    ("tool", "question answering", "the tool of {x}",
     ("What does {x} hold at work?", "What does {x} use?", "With what does {x} work?",
      "What does {x} need for the work?", "What tool does {x} use?", "Which tool does {x} use?",
      "What does {x} work with? -> {X} works with {y}.")),
    ("sides", "question answering", "the number of sides of {x}",
     ("If I draw {x}, how many sides do I draw?", "How many sides has {x}?",
      "How many sides are there in {x}?", "Count the sides of {x}.",
      "How many sides does {x} have? -> {X} has {y} sides.")),
    ("wheels", "question answering", "the number of wheels of {x}",
     ("On how many wheels does {x} roll?", "How many wheels are there on {x}?",
      "How many wheels has {x}?", "Count the wheels of {x}.",
      "How many wheels does {x} have? -> {X} has {y} wheels.")),
    ("day_after", "question answering", "the day after {x}",
     ("If today is {x}, what is tomorrow?", "When {x} is over, what day is it?", "It is {x} today. And tomorrow?",
      "What comes after {x}?", "What day comes after {x}?", "Which day is next after {x}?",
      "What follows {x}? -> {x} is followed by {y}.")),
    ("month_after", "question answering", "the month after {x}",
     ("When {x} is over, what starts?", "What starts when {x} ends?", "It is {x} now. Which month is next?",
      "What comes after {x}?", "What month comes after {x}?", "Which month is next after {x}?",
      "What follows {x}? -> {x} is followed by {y}.")),
    ("opposite", "language", "the opposite of {x}",
     ("Something is the reverse of {x}. What is it?", "{x} and what are opposites?", "Turn the word {x} around in meaning.",
      "What is not {x}?", "What is the opposite of the word {x}?", "Which word is the opposite of {x}?",
      "If it is not {x}, what is it? -> If it is not {x}, it is {y}.")),
    ("plural", "language", "the plural of {x}",
     ("I have one {x}, you have two what?", "What are several called if one is {x}?", "More than one {x} are what?",
      "One {x}, two what?", "What is the plural form of {x}?",
      "How do you write more than one {x}? -> More than one {x} is written {y}.")),
    ("past", "language", "the past tense of {x}",
     ("Today I {x}, yesterday I what?", "We {x} now. What did we do a week ago?", "How do I say {x} about yesterday?",
      "I {x} today. What did I do yesterday?", "What is {x} in the past tense?",
      "Which word is the past tense of {x}?", "How do you say {x} in the past? -> In the past, {x} is {y}.")),
    ("comparative", "language", "the comparative of {x}",
     ("This one is {x}, but that one is even what?", "How do you say more {x} in one word?",
      "What is the comparative form of {x}?", "Which comparative does {x} have?",
      "What is more than {x}? -> More than {x} is {y}.")),
    ("superlative", "language", "the superlative of {x}",
     ("If nothing is more {x}, what is it?", "How do you say most {x} in one word?",
      "What is the superlative form of {x}?", "Which superlative does {x} have?",
      "What is more {x} than all others? -> More {x} than all others is {y}.")),
    ("korean", "translation", "the Korean word for {x}",
     ("How do people in Korea say {x}?", "How would a Korean say {x}?", "Put {x} into Korean.",
      "What is {x} in Korean?", "Translate {x} into Korean.", "Which Korean word means {x}?",
      "How do you say {x} in Korean? -> In Korean, {x} is {y}.")),
    ("english", "translation", "the English word for {x}",
     ("What does {x} mean in English?", "How do people in England say {x}?", "Put {x} into English.",
      "What does {x} mean?", "What is {x} in English?", "Translate {x} into English.",
      "Which English word means {x}?", "How do you say {x} in English? -> In English, {x} is {y}.")),
    ("spanish", "translation", "the Spanish word for {x}",
     ("How do people in Spain say {x}?", "Put {x} into Spanish.",
      "What is {x} in Spanish?", "Translate {x} into Spanish.",
      "How do you say {x} in Spanish? -> In Spanish, {x} is {y}.")),
    ("korean_sentence", "translation", "the Korean translation of the {x}",
     ("Translate the {x} to Korean.", "How do you say this {x} in Korean?"), HERE),
    ("sum", "arithmetic", "the sum of {x}",
     ("I have {x}. How many is that in all?", "Put {x} together. How much is it?", "What do {x} make?",
      "How much is {x}?", "What is {x} together?", "What do you get if you add {x}? -> If you add {x} you get {y}.",
      "Add {x}.")),
    ("double", "arithmetic", "the double of {x}",
     ("What is twice {x}?", "Take {x} two times. How much is it?", "{x} times two is what?",
      "What is 2 times {x}?", "What is double {x}?", "What is two times {x}? -> Two times {x} is {y}.",
      "Double {x}.")),
    ("half", "arithmetic", "the half of {x}",
     ("Two of us share {x}. How many does each get?", "{x} divided by two is what?",
      "Divide {x} by two.", "What is half of {x}?",
      "What do you get if you share {x} by two? -> If you share {x} by two you get {y}.")),
    ("number_after", "arithmetic", "the number after {x}",
     ("I count to {x}. What do I say next?", "Which number comes right after {x}?",
      "What comes after {x} when you count?", "What number comes after {x}?", "Which number is next after {x}?",
      "What do you count after {x}? -> After {x} you count {y}.")),
    ("larger", "reasoning", "the larger of {x}",
     ("Which one is more, {x}?", "Which is greater, {x}?", "Between {x}, which is more?",
      "Which is bigger, {x}?", "Which is larger, {x}?", "Which number is larger, {x}?",
      "Which is more, {x}? -> Of {x}, {y} is more.", "Compare {x} and take the larger.")),
    ("smaller", "reasoning", "the smaller of {x}",
     ("Which one is less, {x}?", "Which comes first when you count, {x}?", "Between {x}, which is less?",
      "Which one is not so large, {x}?", "Which is smaller, {x}?", "Which number is smaller, {x}?",
      "Which is less, {x}? -> Of {x}, {y} is less.", "Compare {x} and take the smaller.")),
    ("where", "extraction", "the place of the {x}",
     ("In which place is the {x}?", "Where is the {x}? -> The {x} is in {y}.")),
    ("taller", "reasoning", "the taller of {x}",
     ("Compare {x}. Who is the taller?", "Who is taller, {x}? -> Of {x}, {y} is taller.")),
    ("shorter", "reasoning", "the shorter of {x}",
     ("Compare {x}. Who is the shorter?", "Who is shorter, {x}? -> Of {x}, {y} is shorter.")),
    ("conclusion", "reasoning", "the conclusion about {x}",
     ("Which conclusion can we draw about {x}?", "What follows about {x}? -> It follows that {y}."), HERE),
    ("class", "classification", "the class of {x}",
     ("What sort of creature is {x}?", "In which group of animals is {x}?", "How do we sort {x} among animals?",
      "What sort of animal is {x}?", "What class of animal is {x}?", "To which class does {x} belong?",
      "What kind of animal is {x}? -> {X} is {y}.")),
    ("sentiment", "classification", "the sentiment of the {x}",
     ("Which sentiment does the {x} have?",
      "How does the writer of the {x} feel? -> The writer of the {x} feels {y}.")),
    ("topic", "classification", "the topic of the {x}",
     ("Sort the {x} by topic.", "What is the {x} about? -> The {x} is about {y}.")),
    ("name", "extraction", "the name in the {x}",
     ("Which name is in the {x}?", "Who is in the {x}? -> In the {x} there is {y}.")),
    ("city", "extraction", "the city in the {x}",
     ("Where did it all happen? -> It all happened in {y}.",)),
    ("day", "extraction", "the day in the {x}",
     ("Which day is in the {x}?", "When did it all happen? -> It all happened on {y}.")),
    ("object", "extraction", "the thing in the {x}",
     ("Which thing is in the {x}?", "What was bought in the {x}? -> In the {x}, {y} was bought.")),
    ("past_form", "rewriting", "the past form of the {x}",
     ("Rewrite the {x} in the past.", "Put the {x} into the past."), HERE),
    ("future_form", "rewriting", "the future form of the {x}",
     ("Rewrite the {x} in the future.", "Put the {x} into the future."), HERE),
    ("negative_form", "rewriting", "the negative form of the {x}",
     ("Say that the {x} is not so.", "Negate the {x}."), HERE),
    ("passive_form", "rewriting", "the passive form of the {x}",
     ("Rewrite the {x} in the passive.", "Put the {x} into the passive."), HERE),
    ("polite_form", "rewriting", "the polite form of the {x}",
     ("Make the {x} polite.", "Rewrite the {x} more politely."), HERE),
    ("first_item", "listing", "the first word of the {x}",
     ("Which word is the first of the {x}?", "How does the {x} begin? -> The {x} begins with {y}.")),
    ("second_item", "listing", "the second word of the {x}",
     ("Which word is the second of the {x}?", "What comes next in the {x}? -> Next in the {x} comes {y}.")),
    ("third_item", "listing", "the third word of the {x}",
     ("Which word is the third of the {x}?", "What is word number three? -> Word number three is {y}.")),
    ("last_item", "listing", "the last word of the {x}",
     ("How does the {x} end? -> The {x} ends with {y}.",)),
    ("three", "listing", "a list of three {x}",
     ("List three {x}.", "Which {x} do you know? List three."), HERE),
    ("summary", "summarizing", "the summary of the {x}",
     ("Summarize the {x}.", "Tell the {x} in one sentence."), HERE),
    ("title", "summarizing", "the title of the {x}",
     ("How would you call the {x}?", "Find a headline for the {x}."), HERE),
    ("sql_all", "SQL", "a SQL query that lists all rows of the table {x}",
     ("How do I see the whole table {x} in SQL?",), HERE),
    ("sql_count", "SQL", "a SQL query that counts the rows of the table {x}",
     ("How long is the table {x}? Ask in SQL.",), HERE),
    ("sql_column", "SQL", "a SQL query that shows the {x}",
     ("In SQL, how do I see the {x}?",), HERE),
    ("sql_order", "SQL", "a SQL query that sorts the {x}",
     ("In SQL, how do I sort the {x}?",), HERE),
    ("story", "creative writing", "a story about {x}",
     ("Tell me a tale about {x}.", "Make up a story about {x}."), HERE),
    ("poem", "creative writing", "a poem about {x}",
     ("Rhyme something about {x}.", "Be a poet and sing of {x}."), HERE),
    ("sentence", "creative writing", "a sentence about {x}",
     ("Use the word {w} in a sentence.", "Show how the word {w} is used."), HERE),
    ("wish", "creative writing", "a birthday wish for {x}",
     ("It is the birthday of {x}. What do I write?", "Congratulate {x}."), HERE),
]
