"""Words that people type and the world lacks: other names of its nouns, the nouns nearest to what it cannot draw,
words that say how something looks, and words that it skips.
"""

_NAMES = {
    "person": (
        "man, woman, boy, girl, child, kid, human, lady, guy, baby, men, women, children, human being, gentleman"
    ),
    "bicycle": "bike, cycle, push bike, mountain bike",
    "car": "automobile, auto, sedan, taxi, cab, race car, sports car",
    "motorcycle": "motorbike, moped, scooter, motor bike, vespa",
    "airplane": "aeroplane, plane, aircraft, jet, airliner, jumbo jet",
    "bus": "coach, school bus, minibus, double decker",
    "train": "locomotive, steam train, railway, tram, subway",
    "truck": "lorry, pickup, fire truck, fire engine, van, pickup truck, pick up truck",
    "boat": "ship, sailboat, sailing boat, ferry, yacht, sailing ship, canoe, row boat",
    "traffic light": "stoplight, stop light, traffic signal, trafficlight",
    "fire hydrant": "hydrant, firehydrant",
    "stop sign": "stopsign",
    "parking meter": "meter",
    "bench": "park bench",
    "bird": "birdie, sparrow, robin, songbird",
    "cat": "kitten, kitty, pussycat, tomcat, house cat, tabby",
    "dog": "puppy, doggy, doggo, pup, hound, poodle, labrador, dachshund",
    "horse": "pony, foal, stallion, mare",
    "sheep": "lamb, ewe, lambs",
    "cow": "cattle, bull, calf, calves, ox, oxen",
    "bear": "grizzly, grizzly bear, brownbear",
    "elephant": "elephants",
    "backpack": "rucksack, knapsack, school bag, schoolbag, back pack",
    "umbrella": "parasol, brolly, sunshade",
    "handbag": "purse, hand bag, bag",
    "tie": "necktie, neck tie",
    "suitcase": "luggage, baggage, suit case",
    "frisbee": "flying disc",
    "skis": "ski, pair of skis",
    "snowboard": "snow board",
    "sports ball": "ball, soccer ball, football, basketball, volleyball, sport ball, beach ball, soccerball",
    "baseball bat": "bat, cricket bat",
    "baseball glove": "glove, mitt, baseball mitt, catchers mitt",
    "skateboard": "skate board",
    "surfboard": "surf board",
    "tennis racket": "racket, racquet, tennis racquet",
    "bottle": "wine bottle, bottle of wine, water bottle, flask, bottle of water",
    "wine glass": "wineglass, glass, goblet, glass of wine, wine, drinking glass",
    "cup": "mug, teacup, coffee cup, tea cup, coffee mug, cup of coffee, cup of tea, coffee, tea",
    "bowl": "dish",
    "hot dog": "hotdog",
    "donut": "doughnut",
    "couch": "sofa, settee",
    "broccoli": "broccolis",
    "potted plant": "houseplant, house plant, plant, pot plant, plant pot, flower pot, flowerpot, plant in a pot",
    "dining table": "table, desk, dinner table, kitchen table",
    "toilet": "loo, wc, toilet bowl",
    "tv": "television, telly, tv set, television set, tv screen",
    "pizza": "slice of pizza, pizza slice",
    "laptop": "notebook, computer, laptop computer, pc, macbook",
    "computer mouse": "mouse, mice, pc mouse",
    "tv remote": "remote, remote control, tv remote control, remote controller, clicker",
    "computer keyboard": "keyboard, pc keyboard",
    "cell phone": "phone, mobile phone, mobile, smartphone, cellphone, iphone, telephone, smart phone, mobiles",
    "microwave": "microwave oven",
    "oven": "stove, cooker",
    "sink": "washbasin, basin, wash basin",
    "refrigerator": "fridge, freezer, refrigerators",
    "clock": "alarm clock, wall clock, watch, wristwatch",
    "scissors": "scissor, pair of scissors",
    "teddy bear": "teddy, teddybear, stuffed bear, teddie",
    "hair drier": "hairdryer, hair dryer, hairdrier, blow dryer, hair blower",
    "toothbrush": "tooth brush",
    "rooster": "chicken, hen, cock, cockerel",
    "duck": "duckling, rubber duck, ducky",
    "frog": "toad",
    "fish": "goldfish, fishes, tropical fish",
    "crocodile": "alligator, croc",
    "snake": "serpent, cobra, python",
    "turtle": "tortoise, sea turtle",
    "rabbit": "bunny, hare, bunny rabbit",
    "monkey": "ape, chimp, chimpanzee",
    "pig": "piglet, piggy",
    "panda": "panda bear",
    "koala": "koala bear",
    "bee": "bumblebee, honeybee, honey bee",
    "whale": "orca",
    "shark": "great white shark",
    "owl": "barn owl",
    "cactus": "cacti",
    "palm tree": "palm, coconut tree, palmtree",
    "pine tree": "fir, fir tree, pine, conifer, evergreen, spruce",
    "christmas tree": "santas tree, xmas tree, santa tree, x mas tree, decorated tree, christmastree",
    "tree": "oak, oak tree, apple tree",
    "maple leaf": "leaf, leaves, maple leafs",
    "mushroom": "toadstool, fungus",
    "grapes": "grape, bunch of grapes",
    "cherries": "cherry, pair of cherries",
    "corn": "maize, corn on the cob, corncob, ear of corn, sweetcorn",
    "ice cream": "icecream, ice cream cone, gelato, soft ice",
    "hamburger": "burger, cheeseburger, beefburger, ham burger",
    "egg": "fried egg",
    "honey": "honey jar, jar of honey, honey pot, honeypot, pot of honey",
    "bread": "loaf, loaf of bread, toast, slice of bread, baguette",
    "cheese": "piece of cheese, slice of cheese",
    "cake": "birthday cake, slice of cake, piece of cake, cupcake",
    "light bulb": "bulb, lightbulb, lamp",
    "rocket": "spaceship, rocket ship, spacecraft, space ship, space rocket",
    "balloon": "baloon",
    "guitar": "acoustic guitar, electric guitar",
    "violin": "fiddle",
    "bell": "church bell",
    "key": "door key",
    "hourglass": "sandglass, sand timer, egg timer, hour glass",
    "globe": "earth, planet earth",
    "house": "home, cottage, hut",
    "castle": "palace, fortress",
    "mount fuji": "fuji, mt fuji, fujiyama, mt. fuji",
    "statue of liberty": "liberty statue",
    "moon": "crescent, crescent moon, full moon",
    "planet": "saturn, ringed planet, jupiter, mars",
    "cloud": "rain cloud",
    "lightning": "thunderbolt, lightning bolt, bolt of lightning, thunder, flash of lightning",
    "snowflake": "snow flake",
    "snowman": "snow man",
    "water drop": "raindrop, waterdrop, droplet, drop, drop of water, water droplet, rain drop",
    "fire": "flame, campfire, camp fire, flames",
    "pumpkin": "jack o lantern, jackolantern, halloween pumpkin",
    "heart": "love heart, anatomical heart",
    "dna": "double helix, dna helix, dna strand",
    "camera": "photo camera",
    "battery": "aa battery",
}  # fmt: skip
NAMES: dict[str, str] = {said: noun for noun, line in _NAMES.items() for said in line.split(", ")}
"""Other name -> noun of the world."""

SHADES = {
    "violet": "purple", "lilac": "purple", "lavender": "purple", "magenta": "pink", "crimson": "red", "scarlet": "red",
    "navy": "blue", "azure": "blue", "turquoise": "blue", "cyan": "blue", "teal": "blue", "golden": "yellow",
    "gold": "yellow", "lime": "green", "olive": "green", "emerald": "green", "maroon": "brown", "beige": "brown",
    "tan": "brown", "ruby": "red", "rosa": "pink", "reddish": "red", "blueish": "blue", "bluish": "blue",
    "greenish": "green", "yellowish": "yellow", "pinkish": "pink", "purplish": "purple", "brownish": "brown",
    "blu": "blue", "grn": "green", "ylw": "yellow", "pnk": "pink", "brn": "brown", "blk": "black", "wht": "white",
}  # fmt: skip
"""Other colors -> the one of the ten that is nearest."""

NO_COLORS = frozenset(
    "gray grey silver silvery rainbow-colored multicolored multicoloured colorful colourful transparent".split()
)

_NEAREST = {
    "dog, fox, bear": "wolf wolves coyote hyena jackal raccoon badger werewolf dingo husky",
    "cat, tiger, lion": "leopard cheetah jaguar panther lynx cougar puma bobcat",
    "horse, zebra, cow": (
        "donkey mule unicorn deer moose elk antelope reindeer goat gazelle stag buffalo bison yak pegasus"
    ),
    "rabbit, cat, dog": "hamster mole squirrel rat ferret weasel beaver hedgehog chipmunk otter guinea skunk mink",
    "elephant, camel, giraffe": "rhino rhinoceros hippo hippopotamus mammoth llama alpaca",
    "monkey, bear, panda": "gorilla orangutan baboon sloth lemur gibbon",
    "whale, dolphin, fish": "seal walrus manatee narwhal submarine salmon tuna eel",
    "octopus, fish, turtle": "squid jellyfish crab lobster shrimp seahorse starfish clam oyster",
    "bird, duck, owl": (
        "eagle parrot swan goose geese turkey crow raven pigeon dove peacock flamingo hawk falcon seagull gull "
        "ostrich stork vulture canary woodpecker hummingbird pelican toucan magpie emu"
    ),
    "crocodile, snake, turtle": "dinosaur lizard dragon gecko chameleon iguana trex",
    "bee, butterfly, spider": (
        "ant ants fly mosquito beetle ladybug ladybird wasp dragonfly moth grasshopper cricket insect bug worm "
        "caterpillar scorpion cockroach"
    ),
    "cat, dog, horse": "animal animals pet pets creature monster beast",
    "rose, sunflower, potted plant": (
        "flower flowers tulip daisy orchid lily lotus violets dandelion poppy bouquet hibiscus"
    ),
    "tree, pine tree, palm tree": "forest wood woods bush jungle willow birch bamboo bonsai hedge shrub",
    "maple leaf, potted plant, tree": "grass herb clover fern ivy moss vine weed",
    "apple, orange, strawberry": (
        "fruit fruits peach pear plum mango kiwi melon blueberry blueberries raspberry apricot avocado coconut "
        "fig papaya pomegranate"
    ),
    "lemon, orange, pineapple": "lime-fruit grapefruit tangerine mandarin citrus",
    "carrot, broccoli, tomato": (
        "vegetable vegetables potato potatoes onion cucumber pepper eggplant aubergine lettuce cabbage garlic pea "
        "peas bean beans spinach zucchini radish celery chili"
    ),
    "pizza, hamburger, sandwich": (
        "food meal spaghetti pasta noodles rice sushi taco burrito fries steak soup salad lunch dinner breakfast "
        "kebab ramen curry lasagna pie dumpling"
    ),
    "donut, cake, ice cream": (
        "cookie cookies biscuit chocolate candy lollipop muffin pancake pancakes waffle croissant pastry sweets "
        "dessert pudding brownie sugar popsicle"
    ),
    "bread, cheese, egg": "butter bacon sausage ham meat jam bagel pretzel cereal yogurt tofu chips popcorn",
    "bottle, cup, wine glass": (
        "beer juice milk soda cola cocktail jar pitcher jug can drink whiskey vodka champagne teapot kettle "
        "lemonade"
    ),
    "bowl, cup, fork": "plate pan pot saucer tray spatula ladle chopsticks whisk cutlery wok",
    "refrigerator, oven, microwave": "dishwasher washer dryer blender machine washing heater radiator grill",
    "chair, couch, bench": "armchair stool seat throne sofa-bed rocking swing hammock",
    "bed, dining table, couch": (
        "furniture wardrobe cupboard drawer shelf bookshelf cabinet dresser pillow blanket mattress crib carpet "
        "rug"
    ),
    "toilet, sink, toothbrush": "bathtub shower bath soap towel mirror comb shampoo sponge bathroom toothpaste razor",
    "book, key, clock": (
        "pen pencil paper newspaper magazine letter envelope notepad calendar eraser crayon coin money wallet"
    ),
    "candle, light bulb, fire": "lantern torch flashlight chandelier match lighter fireplace bonfire lighthouse",
    "laptop, tv, cell phone": (
        "tablet ipad monitor screen radio robot printer console speaker headphones playstation gameboy drone "
        "server chip"
    ),
    "car, truck, bus": (
        "tractor ambulance jeep limousine tank forklift bulldozer crane police caravan vehicle trailer wagon"
    ),
    "airplane, rocket, balloon": "helicopter ufo glider zeppelin blimp satellite parachute astronaut spacesuit alien",
    "bicycle, skateboard, motorcycle": (
        "tricycle unicycle rollerblades skates segway cart wheelchair sled sledge carriage wheel tire stroller"
    ),
    "traffic light, stop sign, fire hydrant": (
        "street road bridge sidewalk crosswalk mailbox lamppost fence trash sign flag pole streetlight"
    ),
    "backpack, handbag, suitcase": "briefcase basket box crate sack chest package parcel gift present",
    "tie, crown, umbrella": (
        "hat cap shirt t-shirt dress skirt trousers pants jeans shoe shoes boot boots sock socks coat jacket "
        "scarf belt ring necklace earrings bracelet glasses sunglasses helmet sweater suit uniform gloves jewel "
        "diamond tiara watchband clothes"
    ),
    "sports ball, tennis racket, baseball bat": (
        "golf hockey puck goal club bowling billiards dart soccer tennis baseball cue badminton shuttlecock net "
        "dumbbell"
    ),
    "surfboard, skis, snowboard": "raft paddle oar snorkel wave kayak rollercoaster slide",
    "kite, balloon, teddy bear": "toy toys doll puppet lego yoyo puzzle dice card cards game chess kites",
    "guitar, violin, bell": (
        "piano drum drums flute trumpet saxophone harp cello clarinet banjo accordion harmonica ukulele trombone "
        "tuba xylophone instrument music"
    ),
    "hammer, scissors, magnet": (
        "saw drill screwdriver wrench axe shovel nail screw tool rake ladder pliers rope chain anvil sword gun "
        "shield spear arrow bow dagger knight pistol rifle bomb"
    ),
    "telescope, microscope, thermometer": "binoculars lens ruler scale syringe stethoscope beaker compasses scales",
    "camera, tv, light bulb": "photo-album projector film video television-tower painting poster frame",
    "house, castle, statue of liberty": (
        "building church temple mosque tower skyscraper barn tent school hospital city town village farm shop "
        "store museum factory igloo windmill pyramid monument statue bigben eiffel garage hotel cathedral door "
        "window roof wall"
    ),
    "mount fuji, volcano, tree": (
        "mountain mountains hill hills island beach desert river lake waterfall rock stone cave canyon valley "
        "iceberg"
    ),
    "sun, moon, star": "sky space galaxy comet meteor asteroid universe sunset sunrise night eclipse constellation",
    "cloud, lightning, rainbow": "storm tornado hurricane wind weather fog hail",
    "water drop, snowflake, snowman": "sea ocean puddle ice water rain snow pool fountain icicle bubble bubbles",
    "pumpkin, christmas tree, snowman": (
        "ghost witch skeleton zombie vampire santa elf reindeers wreath stocking halloween christmas easter "
        "scarecrow bat-signal"
    ),
    "heart, brain, dna": (
        "eye eyes hand hands foot feet leg head face nose ear mouth tooth teeth skull bone bones blood lung lungs "
        "liver kidney muscle finger arm hair skin cell virus bacteria atom molecule"
    ),
    "person, teddy bear, snowman": (
        "king queen princess prince doctor teacher fairy angel wizard mermaid pirate ninja cowboy clown family "
        "crowd people-group soldier chef farmer nurse policeman firefighter student superhero batman spiderman "
        "superman couple friend mother father grandma grandpa girlbands dancer singer player mom dad"
    ),
}  # fmt: skip
NEAREST: dict[str, tuple[str, ...]] = {
    said: tuple(nouns.split(", ")) for nouns, line in _NEAREST.items() for said in line.split()
}
"""A noun that it cannot draw -> the three of the world that are nearest in meaning."""

LOOKS = frozenset(
    """
    nice big small large little tiny huge giant tall short long old new young cute happy sad beautiful pretty ugly
    funny fluffy shiny wooden metal plastic striped spotted dotted bright dark light pale deep vivid pastel neon
    round square flat fat thin thick heavy empty full open closed broken clean dirty wet dry hot cold warm frozen
    fresh ripe sliced fried baked sleeping sitting standing running flying jumping swimming walking eating drinking
    playing riding holding wearing driving reading dancing smiling singing looking watching chasing barking lying
    hanging floating falling burning realistic photorealistic cartoon cartoonish detailed cinematic minimalist
    simple high quality resolution 3d 4k 8k hd hdr style modern vintage antique retro rustic fancy lovely cool
    amazing awesome perfect great good bad real fake wild domestic friendly angry scary lazy sleepy brave proud
    strong weak fast slow loud quiet soft hard smooth rough sharp hairy furry feathered leather woollen stone brick
    iron steel silk cotton velvet glassy ceramic porcelain marble crystal electric electronic digital stuffed
    painted decorated color colour favourite favorite colored coloured
    single only same different another other extra very really quite rather super
    ultra so too just also still again together alone apart side facing outdoors indoors outside inside upside down
    upright polka dot medium mini miniature enormous gigantic massive majestic elegant royal magic magical mystical
    futuristic medieval ancient japanese chinese american french italian german english british african asian
    european indian mexican tasty delicious yummy sweet sour spicy kissing hugging fighting pulling pushing carrying
    throwing kicking catching hitting cutting opening closing climbing crossing parked rolling spinning shining
    glowing sparkling blooming growing melting snowing raining rainy sunny cloudy stormy foggy male female adorable
    chubby skinny slim wide narrow deepblue vertical horizontal diagonal blurry
    """.split()
)
"""Words that say how a thing looks or what it does: none of them can be drawn. (They are also no misspelled nouns.)"""

FILLERS = frozenset(
    "is are was be being of which that who its it his her their placed located positioned directly exactly there here "
    "please thanks thank you now me us for i my your our some-kind kind type picture image photo and then to".split()
)
"""Words without a meaning of their own in a prompt: skipped without a note."""

REAL = frozenset(
    """
    able act amount battle beard beat beef block boring breast breath broad cane cape care cast chat choir clash
    class cloak clone coast corner crush dear drain earl earn even fair fame firm flesh gear grain graph grave greed
    grove harm hear honest hose hunt hurt kiss lane lock loop loose mad main mask mast maze mean mend menu pace pant
    patch place plan plot poet port post pulp pump punch pure range reach rear roast rush sail scar seam shake
    shaker share sheet shot sing skip sleep slime soared soon sort sound spade spare spice spine spirit spot stair
    stake stare start state stem stroke sweep tape teach team tear thread tide tile tone trace track trail travel
    treat trick weight whistle zone
    """.split()
)
"""English words that are near to one of the world in spelling and yet no misspelling of it."""
