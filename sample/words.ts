/** Vocabulary of the sample's writing. Space-separated lists: short to read, and split once. */
const list = (text: string): readonly string[] => text.trim().split(/\s+/);

export const GIVEN_NAMES = list(`
Ada Aisha Alejandro Amara Anders Aniko Anja Anouk Arjun Astrid Beatriz Bao Bilal Bjorn Camila Carlos Chidi Chloe Daan Dalia
Daniela Darius Diego Dmitri Ebba Eero Elena Elif Emre Esther Fatima Femi Finn Freya Gabriel Giulia Hana Hamza Hannah Helga
Hiro Hugo Ibrahim Ida Ilse Imani Ines Ingrid Isabel Ivan Jamal Jana Joaquin Johanna Jonas Juan Kaito Karim Katya Kenji Kira
Klara Kofi Lars Laila Leila Lena Leon Linh Lucas Lucia Maja Malik Mara Marco Marek Maria Mateo Mei Mila Mina Mirela Nadia
Naomi Nia Nikolai Nils Noor Olga Omar Oskar Paolo Petra Pilar Priya Quentin Rafael Rana Ravi Renata Rosa Ruth Samir Sana
Sara Selma Sofia Soren Stefan Sven Tariq Teresa Theo Tomas Uma Valentina Vera Viktor Wanda Wei Yara Yusuf Zofia Zoe`);

export const FAMILY_NAMES = list(`
Abe Acosta Adeyemi Ahmed Almeida Andersson Baker Banerjee Bauer Becker Bianchi Bello Berg Castillo Chen Costa Cruz Dahl
Diallo Dimitrov Dubois Eriksen Fernandez Ferrari Fischer Fofanah Garcia Gomez Gupta Haddad Hansen Hoffmann Horvat Ito Ivanova
Jansen Johansson Kaya Keller Khan Kim Kovacs Kowalski Kumar Larsen Lefevre Lehmann Li Lindqvist Lopez Marino Martin Mbeki
Mendes Meyer Moreau Mueller Nakamura Nguyen Nowak Okafor Olsen Ortiz Osei Park Patel Pereira Petrov Popescu Quispe Ramirez
Rahman Rossi Ruiz Sato Schmidt Schneider Sharma Silva Singh Smit Suzuki Takahashi Tanaka Torres Traore Vargas Virtanen
Wagner Walker Weber Wójcik Yamamoto Yilmaz Zhang Zimmermann Öberg Şahin Łukasik`);

export const PLACES = list(`
kitchen garden office studio library harbour market station clinic bakery riverside attic workshop balcony playground museum
bridge forest seafront terrace cellar hallway courtyard chapel pool gym laundrette bookshop hospital airport village stairwell
allotment cafe canteen basement rooftop meadow church theatre ferry campsite lighthouse orchard square tram`);

export const NOUNS = list(`
afternoon answer apology apple argument article bag balance bicycle birthday blanket boat book bottle box bread breakfast
brother budget bus cake call camera candle car cat chair chance child choir choice clock coat coffee colleague complaint
contract conversation cough cousin dance daughter deadline decision dentist dinner doctor dog door doubt dream dress duty
email engine envelope evening exam excuse exercise eye face fabric failure family father fear feeling fever film fire
flat floor flower flu friend frost fruit funeral game gift glass grandfather grandmother grief guitar habit hair hand
headache heart heating holiday homework hope house hunger husband idea illness interview invoice island jacket jar job
joke journey key kettle knee lamp landlord laptop laugh leaf lecture lesson letter lie light list lunch machine manager
map medicine meeting memory message mirror mistake money month moon morning mother mountain mouth music nap neighbour
nephew news nickname niece night noise note novel nurse offer onion oven pain painting paper parcel parent park party
passport past patience pause pen phone photograph piano picture pill pillow plan plant plate poem pot presentation
pressure price printer promise proof question rain reason receipt recipe refund rent reply report rest result ride ring
road room routine rule sadness salary salt school screen sea secret shadow shame shift shoe shop shoulder shower silence
sister sky sleep smell snow soap sofa son song soup spoon storm story street stress suitcase summer sun supper surprise
table task tea teacher team tears temper therapist ticket tie tomato tooth towel town toy train tree trip trouble truth
umbrella uncle vase visit voice wall wallet watch water weather wedding weekend weight wife wind window winter wish word
work worry wound yard year`);

export const VERBS = list(`
accepted admitted answered apologised argued arrived asked avoided baked began believed blamed borrowed bought broke brought
built called cancelled carried caught changed checked chose cleaned climbed closed collected complained considered cooked
counted cried cut danced decided delayed denied described discovered drank drew dropped enjoyed entered escaped expected
explained failed fell felt fetched finished fixed followed forgave forgot found fought gathered gave guessed hated heard helped
hid hoped hugged hurried ignored imagined interrupted invited joined kept kissed knew laughed learned left lent lied lifted
listened lost loved made managed mended mentioned met missed misread moved needed noticed offered opened ordered packed
painted paid phoned photographed planned planted played postponed poured practised praised prepared pretended promised
protected pulled pushed put questioned reached read realised received recognised refused regretted remembered repaired
repeated replied rescued rested returned rode said sang saved sent shared shouted showed signed skipped slept smiled sold
sorted spent spoke started stayed stole stopped studied suggested swam swept talked tasted taught tested thanked thought
threw tidied tore touched translated travelled tried trusted understood visited waited walked wanted warned washed wasted
watered won wondered worked worried wrote`);

export const ADJECTIVES = list(`
absent afraid alone amazing angry anxious awful awkward awake bad beautiful better bitter blue boring brave bright broken
busy calm careful careless cheap cheerful clean clear clever cloudy clumsy cold comfortable common complicated confused
cosy crowded curious damp dark dear deep delicious different difficult dirty distant dry dull early easy empty endless
excited expensive fair familiar famous fast final fine foggy fond foolish forgotten fragile free fresh friendly funny generous
gentle glad golden good grateful green grey guilty half-finished happy hard harmless heavy helpful honest hopeful hungry ill
important impatient impossible incredible jealous kind late lazy light lonely long loud lovely lucky mad messy mild narrow
nervous new nice noisy odd old open ordinary overdue painful pale patient peaceful perfect plain pleasant polite poor private
proud quick quiet rainy rare raw ready real red relieved restless rich rough rude sad safe salty selfish serious shaky sharp
short shy sick silent simple sleepless sleepy slow small smooth soft solid sour stale steep stiff still strange stubborn
sudden sunny sweet tall tender terrible thick thin tight tiny tired tough unfair unusual upset useful useless usual warm
weak weird wet wild windy wise wonderful worn worried worse worst wrong young`);

export const ADVERBS = list(`
again almost already always anyway apparently barely briefly carefully clearly completely constantly deliberately
eagerly early easily enough especially eventually exactly finally gently gladly gradually happily hardly honestly instead
just kindly lately later loudly maybe mostly nearly never nervously obviously often once openly partly patiently perhaps
politely probably properly proudly quickly quietly rarely really recently sadly secretly seldom seriously simply slowly
somehow sometimes soon still strangely suddenly surely today together tomorrow tonight truly twice usually yesterday`);

/** How sentences go: capitals are slots (see text.ts), the rest stands as it is. */
export const PATTERNS = `
I V the N with P
P V the N and I V it A
the J N was still at the L when we V
N and N again, nothing else
woke at T, V the N and V until T
we V over the J N , which was J of us
why am I so J about the N
P said that the N is J , and I A V
it cost Z , more than the N was worth
Z later I V the J N back to the L
A I V that P never V my N
therapist asked about the N . I V the question and talked about the L instead
after the N we went to the L , where P V and I V
feeling J today . The N helps , the N does not
my N V me an old N from the L
no N , no N , only the J N of the L
I should have V the N before P V it
tomorrow : N , N , call P about the N
the doctor V the result : Z , a J sign
dreamt of the L and a J N that V
P V Z pages of the N and A V
slept Z hours . The N was J , the N was J er than I thought
can't stop thinking about the N at T
grateful for the N , for P and for a J N
if the N is J on D , I will have V it for nothing
P and P V at the L ; it was J and A J
met P on D . We V about N and about the J year
the J N in the L smelled of N
I V . Then I V again . A
D : the N arrives , P leaves , I keep the N
`
  .trim()
  .split('\n')
  .map((line) => line.split(' ').filter(Boolean));

export const WEEKDAYS = list('Monday Tuesday Wednesday Thursday Friday Saturday Sunday');

export const ORGANIZATION_WORDS = list(`
Alder Amber Anchor Aspen Beacon Birch Blue Bramble Brook Cedar Cinder Clover Coast Copper Coral Crane Dune Ember Fable Fern
Field Finch Fjord Flint Fox Gale Glen Grove Harbor Hazel Heron Iris Juniper Kestrel Lantern Larch Linden Lumen Maple Meadow
Moss Nimbus North Oak Onyx Orchard Otter Pebble Pine Plover Quartz Quill Raven Reed River Rowan Sable Sage Slate Sorrel
Sparrow Spruce Stone Tern Thistle Tidal Umber Vale Vesper Wander Willow Wren Yarrow`);

export const ORGANIZATION_KINDS = list(
  'Care Clinic Collective Counselling Health Labs Media Practice School Studio Therapy Works',
);

export const TAGS = list(`
anger anxiety art body books childhood coffee commute cooking cycling dreams exercise family fear food football friends garden
gratitude grief habits health home hope insomnia joy kids letters love meditation money mother music nature parents patience
photos plans progress rain reading recovery relationship running sadness school sea self-care sleep stress study summer therapy
travel walks weather weekend winter work writing yoga`);

export const FOLDERS = list(
  'Personal Work Dreams Health Travel Letters Ideas Therapy Family Archive Recipes Reading Gratitude Drafts',
);
