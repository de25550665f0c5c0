"""The checkers of free answers: 60 texts that a person would take, 60 that nobody would, and other people's tasks."""

import pytest

import world

HEADS = {  # task: (how an answer begins, one right answer)
    "story": ("Here is a story about a fox and a river: ",
              "One day a fox came to a river. The fox was very happy. It stayed at the river for ever."),
    "poem": ("Here is a poem about the door: ", "I love the door, I love it so, I take the door wherever I go."),
    "sentence": ("Here is a sentence with the word lamp: ", "The lamp is not here."),
    "three": ("Here is a list of three fruits: ", "apple, pear, plum."),
}
ACCEPTED = {
    "story": """
Once a fox lived near a river. Every day the fox sat there. It loved the river.
Long ago a fox lost its way. It saw a river and slept. The river became its home.
A fox came to a river. "I am thirsty," said the fox. It drank and went home.
The fox said: "I can swim." It went into the river. Nobody saw it again.
"Stop!" cried the fox. The river did not stop. So the fox ran along with it.
A young fox lived by a wide river. One night the rain came and the water rose and rose until the whole forest was wet. The fox was safe in a tree.
There was a river with no bridge. A fox wanted to cross it. A bear carried the fox over. They are friends today.
Two foxes met at a river. They were both hungry. They shared one fish and went home.
The river was cold in the winter. A fox walked on the ice. It found its brother on the other side.
A fox had 3 friends at the river. They played every day. In the evening they slept in the grass.
Was the fox afraid of the river? No, it was not. It jumped in and laughed.
The fox looked into the river. It saw another fox there! "Who are you?" it asked.
On Monday the fox went to the river. On Tuesday the fox went there again. It liked the fish.
A Fox sat at the River. The water was blue. The fox had a good day.
A fox lost a ring in the river. A trout found the ring. The fox thanked the trout with a song.
""",
    "poem": """
the door by day and the door by night, the door in the morning light.
O the door, dear the door, stay with me, under the old apple tree.
The door is open all the day, and so the dog can run away.
I see the door, I see the wall, and I am happy with them all.
The Door is red, the wall is BLUE, and I have painted them for YOU.
The door is old. The house is too. I paint the door in red and blue.
Behind the door there is a cat, and on the cat there is a hat.
The door is shut; the moon is high; and all the stars are in the sky.
Open the door and let me in, the wind is cold upon my skin.
The door stood in the pouring rain, and waited for the evening train.
We closed the door at half past ten, and opened it at dawn again, and then!
My house has got the finest door, it stands above a wooden floor.
The door is made of yellow wood, it does the work a good door should.
the door is wide, the door is tall, the door is best of them all.
The wind came up and shook the door and ran away for evermore beyond the shore.
""",
    "sentence": """
I see the lamp.
I like the lamp.
Lamps are good.
"I like the lamp," she said.
"The lamp is mine."
The lamp costs 3.50 dollars.
Where is the lamp?
My mother bought a new lamp in the town on Friday.
What a beautiful lamp that is!
The old lamp fell from the table and broke into many small pieces.
A lamp gives light.
Do not touch the lamp, please.
3 lamps stand on the table.
If it is dark, we need a lamp.
Lamp is a short word.
""",
    "three": """
cherry, pear, apple.
apple, pear and plum.
apple, pear, and plum.
apple and pear and plum.
plum,  pear,  cherry.
Apple, pear, plum.
Cherry, Plum and Apple.
pear, plum, cherry.
plum, apple, cherry.
cherry, apple, plum.
plum , pear , apple.
cherry,pear,plum.
pear and plum, and apple.
 plum, cherry, pear.
apple, plum
and pear.
""",
}
REFUSED = {
    "story": """
The the the the the. The fox the river the. Fox river fox river.
I cannot tell a story about a fox and a river. I am only a machine. Please ask another time.
I am sorry, I do not know the fox. It is at the river. Ask me again tomorrow.
One day a fox came to a river. The fox was very happy. It stayed at the river for ever. and then
One day a fox came to a river. The fox was very happy. It stayed at the
One day a fox came to a river. The fox was very happy. The fox was very happy .
One day a fox came to a river. One day a fox came to a river. It stayed at the river for ever.
A fox. A fox. A river.
One day a fox came to a river. The fox was very happy.
One day a dog came to a river. The dog was very happy. It stayed at the river for ever.
One day a fox came to a cave. The fox was very happy. It stayed at the cave for ever.
One day a fox came to a river. The fox was very very happy. It stayed at the river for ever.
One day a fox came to a river. The fox was very happy. It stayed at the river and the.
Here is a story about a fox and a river: One day a fox came. The fox was very happy.
A fox of river old. The green in of the fox. Or with blue moon fox.
""",
    "poem": """
the door the door night, light.
I love the door, I love it so, I take the door to the house.
I love the lamp, I love it so, I take the lamp wherever I go.
I love the door, I love it so, I take the door wherever I go. and
I love the door, I love it so, I take the door wherever I
The door.
so, go.
the door, so, go.
door door door door, so so so so, go go go go.
I love the door, I love it so, I take the door wherever I so.
I love the door, I love it so, I take the door wherever I go
I cannot write a poem about the door, I do not know the way to more.
I love the door, I love it so, I take the door wherever I go. It is good.
the door is red, the door is blue, the door is green.
Here is a poem about the door: I love it so, I take it wherever I go.
""",
    "sentence": """
The lamp lamp lamp.
Xx zz lamp.
lamp
Lamp.
The lamp
The lamp is
The lamp is not here
I see the lamp and.
I see the ball.
I see the lamp. I like the lamp.
I see the lamp. It
the lamp is not here.
I cannot do that with a lamp.
The the lamp is here.
I see the lampshade.
""",
    "three": """
apple, apple, pear.
apple, pear.
apple, pear, hammer.
apple, pear, plum, cherry.
apple, pear, plum
apple, pear, plum..
apple pear plum.
apple, pear, plum, .
apple, , plum.
, pear, plum.
apple, pear and.
apple, pear and pear.
Apple, apple, plum.
apples, pear, plum.
apple, pear, plum. and
""",
}


def cases(texts):
    found = [(task, text) for task, block in texts.items() for text in block.strip("\n").replace("plum\nand", "plum and").split("\n")]
    assert len(found) == 60
    return found


@pytest.mark.parametrize(("task", "text"), cases(ACCEPTED))
def test_what_a_person_would_take_is_right(task, text):
    head, one = HEADS[task]
    assert world.check(task, head + one, head + text)


@pytest.mark.parametrize(("task", "text"), cases(REFUSED))
def test_what_nobody_would_take_is_wrong(task, text):
    head, one = HEADS[task]
    assert not world.check(task, head + one, head + text)


FOREIGN = [("story", "The moral is: be kind."), ("three", "The answer is: 3."), ("poem", "The title is: Rain."),
           ("sentence", "The fix is: add a comma."), ("sum", "42"), ("story", "no colon"), ("three", " a: b \n"), ("poem", "")]


@pytest.mark.parametrize(("task", "text"), FOREIGN)
def test_a_task_of_the_same_name_in_somebodys_own_file_is_right_if_equal(task, text):
    assert world.check(task, text, text)
    assert not world.check(task, text, text + "x") and not world.check(task, text, text.partition(":")[0] + ": other.")
