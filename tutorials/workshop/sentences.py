"""Sentences with people, places, organisations and dates, composed, not downloaded.

A sentence is a template whose slots are filled with names from one of many countries. The
names come from the packages Faker (first names, surnames, cities, what a company adds to
its name) and Babel (countries and dates, as each language writes them).

Two things can be new in a sentence that a network has not seen, and they are kept apart:
its template, and its names. The templates are dealt out at random. Of the names, each
*word* belongs to one of two worlds, the known and the new, and a name is used only if all
its words are of the same world: no word of a new name stands in a known one.
"""

import datetime
import functools
import re
import zlib

import numpy as np
from babel import Locale
from babel.dates import format_date
from faker import Faker

CLASSES = {"person": "PER", "place": "LOC", "organisation": "ORG", "date": "DATE"}

# Where the names are from: languages in Latin letters.
LOCALES = [
    "cs_CZ", "da_DK", "de_DE", "en_GB", "en_IN", "en_US", "es_ES", "fi_FI", "fr_FR",
    "hr_HR", "hu_HU", "id_ID", "it_IT", "nl_NL", "pl_PL", "pt_PT", "ro_RO",
    "sv_SE", "tr_TR",
]  # fmt: skip

# In brackets: one of these. All that a line can become belongs to the same part.
TEMPLATES = """
{person} was born in {place} on {date} .
{person} , born on {date} , grew up near {place} .
Her mother , {person} , taught chemistry at {organisation} .
In {date} {organisation} moved its head office to {place} .
{organisation} was founded in {place} by {person} and {person} .
The board of {organisation} met on {date} and elected {person} .
" We are proud of the result " , said {person} , who leads {organisation} .
Shares of {organisation} fell by {number} percent on {date} .
{place} and {place} signed the treaty on {date} .
The train from {place} to {place} was {number} minutes late .
Please send the invoice to {person} , {organisation} , {place} .
Dear Mr {person} , thank you for your letter of {date} .
Dear Ms {person} , your order number {number} left our warehouse in {place} .
The concert in {place} was cancelled because {person} had a cold .
After years in {place} , {person} returned to {place} to run the family bakery .
{person} scored twice as the visitors from {place} won by three goals .
Coach {person} has left the club , a spokesman confirmed on {date} .
The flood of {date} destroyed most of the old bridge at {place} .
{organisation} and {organisation} announced a merger worth {number} million .
Until {date} the painter {person} kept a studio in {place} .
Who is {person} ?
Where exactly is {place} ?
When does {organisation} open its new branch in {place} ?
The contract between {organisation} and the city of {place} ends on {date} .
A letter that {person} wrote to {person} was found in an attic in {place} .
Scientists at {organisation} have measured the speed of {number} glaciers .
The minister flew to {place} to meet {person} .
Our office in {place} will be closed from {date} to {date} .
{date} : arrival in {place} , dinner with {person} .
The patient , {person} , was seen by Dr {person} on {date} .
Judge {person} ruled that {organisation} must pay the fine .
The mayor of {place} , {person} , opened the fair .
Three workers of {organisation} were injured in an accident near {place} .
Last year {person} sold her shares in {organisation} .
{organisation} hired {person} as its chief engineer .
The novel by {person} is set in {place} during the war .
On {date} , {person} crossed the border on foot .
It rained all day in {place} .
It was {person} who first described the comet , on {date} .
Professor {person} of {organisation} doubts these figures .
The museum bought the portrait of {person} from {organisation} .
No one at {organisation} was available for comment .
According to {organisation} , prices in {place} rose by {number} percent .
{person} and her brother {person} own a vineyard outside {place} .
Born in {place} , she studied law and joined {organisation} in {date} .
He died in {place} on {date} , aged {number} .
The first ship left {place} on {date} with {number} passengers .
Between {date} and {date} the population of {place} doubled .
Travellers from {place} need a visa .
{organisation} has {number} employees and plants in {place} and {place} .
{person} , a spokeswoman for {organisation} , declined to give details .
The film , directed by {person} , opens in cinemas on {date} .
Critics praised {person} for the leading role .
{organisation} sued {organisation} over a patent .
The treaty of {place} was never ratified .
We met {person} at the airport of {place} .
I have lived in {place} since {date} .
You can reach {person} at extension {number} .
The next meeting will take place on {date} at {organisation} .
Your flight to {place} departs at gate {number} .
{person} lost the election to {person} by {number} votes .
Snow is expected in {place} and in the hills around {place} .
The orchestra under {person} played in {place} on {date} .
{organisation} will pay a dividend on {date} .
In his will {person} left everything to {organisation} .
Police in {place} arrested a man who had posed as {person} .
The road to {place} is closed until {date} .
{person} has been chairman of {organisation} since {date} .
Engineers from {organisation} repaired the dam above {place} .
A spokesman for the hospital in {place} said that {person} was recovering .
Thank you , {person} !
Regards , {person}
Signed in {place} , {date} .
{place} , {date}
From : {person} , {organisation}
Subject : your visit to {place} on {date}
The lease of the house in {place} expires on {date} .
{organisation} and its founder , {person} , are under investigation .
The goalkeeper , {person} , came from {place} as a teenager .
After the match {person} thanked the fans who had come from {place} .
{person} beat {person} in straight sets in {place} .
The winner , {person} , finished {number} seconds ahead of {person} .
Oil was found off the coast of {place} in {date} .
The embassy of {place} refused to comment .
{place} exports coffee , and imports machines from {place} .
Troops withdrew from {place} on {date} .
The king visited {place} only once , on {date} .
In the summer of {date} {person} walked from {place} to {place} .
The bridge was designed by {person} and built by {organisation} .
A strike at {organisation} stopped all trains to {place} .
The bank lent {number} million to {organisation} .
The auditors of {organisation} resigned on {date} .
The merger was approved by the shareholders of {organisation} on {date} .
{organisation} recalled {number} cars because of faulty brakes .
Our correspondent in {place} , {person} , reports .
The poet {person} is buried in {place} .
The letters of {person} were published on {date} .
The manuscript , dated {date} , belongs to {organisation} .
Each spring the storks return to {place} .
{person} teaches history at a school in {place} .
{person} works for {organisation} in {place} .
{person} left {organisation} to found a company of her own .
{person} told reporters that the talks had failed .
Witnesses saw {person} leave the building shortly before noon .
The lawyers of {person} have appealed .
Ask {person} whether the parcel from {organisation} has arrived .
My aunt {person} sends her love from {place} .
Happy birthday , {person} , and many greetings from all of us !
Could you book a table for {number} people on {date} ?
Has {person} paid the rent for the flat in {place} ?
Did {organisation} ever answer your letter of {date} ?
The deadline is {date} .
Applications must reach {organisation} by {date} .
The warranty begins on {date} and lasts {number} months .
The comet will be visible again on {date} .
Nothing of note happened on {date} .
The prisoners were released on {date} , after {number} days .
Doctor {person} operated on the king himself .
Captain {person} sailed from {place} with a crew of {number} .
The village lies halfway between {place} and {place} .
The river rises near {place} and flows past {place} to the sea .
The hotel in {place} had no hot water .
The best cheese comes from {place} , the best wine from {place} .
The market of {place} is held on Saturdays .
Farmers around {place} fear for the harvest .
Excavations at {place} brought to light {number} coins .
The castle of {place} burned down on {date} .
The library of {organisation} holds {number} maps .
Students of {organisation} protested against the new fees .
{organisation} publishes a journal on bees .
{organisation} was fined , but {organisation} was not .
Neither {organisation} nor {person} would say what the deal was worth .
The chief executive of {organisation} , {person} , stepped down on {date} .
{person} succeeds {person} as director of the museum .
{person} , {person} and {person} were nominated for the prize .
The prize went to {person} for her work on enzymes .
Together with {person} he wrote an opera about {place} .
The statue shows {person} on horseback .
The song was written by {person} on a napkin .
The photograph , taken in {place} on {date} , shows {person} with a dog .
Nobody knew that {person} could play the violin .
The old lighthouse near {place} is for sale .
Ferries to {place} run every {number} minutes .
A direct line links {place} with {place} .
The mountain above {place} is {number} metres high .
The earthquake struck {place} on {date} .
Rescuers from {place} searched for survivors .
Since {date} the factory has belonged to {organisation} .
The software was developed by {organisation} in {place} .
{organisation} operates {number} wind turbines off {place} .
Investors bought bonds of {organisation} and {organisation} .
{organisation} , based in {place} , makes clocks .
{organisation} , a competitor , has already lowered its prices .
A subsidiary of {organisation} runs the port of {place} .
He left a job at {organisation} for a farm in {place} .
The trial of {person} begins in {place} on {date} .
{person} pleaded not guilty .
The verdict against {person} was overturned on {date} .
The committee heard {person} on {date} and {person} on {date} .
The constitution of {date} gave women the vote .
The law came into force on {date} .
The exhibition runs from {date} to {date} .
Tickets for {date} are sold out .
Room {number} is free again .
Chapter {number} explains the rules of the game .
There were {number} boxes in the cellar , and all of them were empty .
The weather will stay fine until the weekend .
The Board has decided to meet again soon .
Everyone agreed that the soup was too salty .
She opened the window and listened .
Part Two begins with a storm .
The President will speak to the nation tonight .
How many of the {number} letters were answered ?
The children built a raft and sailed it across the pond .
{person} (smiled|nodded|shrugged|laughed|sighed) .
{person} (opened|closed|locked|painted) the (door|gate|window) .
{person} (wrote|published|translated|reviewed) a book about (bees|clocks|rivers) .
{person} (has|had) two (sons|daughters|cats) and (a garden|no car|an old boat) .
(Yesterday|Today|Last week|This morning) {person} (resigned|retired|fell ill|married) .
(Why|How|When) did {person} (leave|refuse|agree|lie|come back) ?
The (wife|husband|son|daughter|sister|uncle) of {person} (lives|works|studies) abroad .
(He|She|They) (called|married|met|interviewed|fired|trusted) {person} .
A (speech|poem|drawing|sculpture|play) by {person} was (shown|read|performed) .
(Senator|Minister|Bishop|Colonel|Sergeant) {person} (spoke|waited|arrived) first .
(Mrs|Mr|Miss) {person} will (see|call|help) you now .
{person} , (a baker|a nurse|a retired teacher|an architect) , (agreed|disagreed) .
{person} , who (paints|sings|dances|swims) , is {number} years old .
The (pianist|swimmer|chemist|pilot|gardener) {person} (won|lost|slept|trained) .
In the opinion of {person} the (plan|law|map|report) is (useless|unfair|outdated) .
(Dear|Hello|Good morning) {person} , the (keys|books|tickets) are on the table .
" (No|Yes|Perhaps|Of course) , " (replied|shouted|whispered|added) {person} .
Both {person} and {person} (voted|argued) (for|against) the motion .
Without {person} the (team|choir|ship) would have been lost .
The (idea|theory|recipe|diary) of {person} was (forgotten|stolen|copied) .
{person} is (taller|older|faster) than {person} .
(Doctors|Neighbours|Friends) (describe|remember) {person} as (shy|kind|stubborn) .
{organisation} (builds|sells|rents|repairs) (trucks|ships|lamps|pianos) .
{organisation} (went bankrupt|was sold|changed its name|grew quickly) .
{organisation} (cut|created|moved) {number} jobs (this year|in spring|at once) .
(Customers|Suppliers|Employees) of {organisation} (complained|waited|celebrated) .
The (profits|sales|debts|costs) of {organisation} (rose|fell|doubled|vanished) .
(Trade unions|Activists|Lawyers) accuse {organisation} of (fraud|waste|neglect) .
{organisation} (bought|acquired|rescued|swallowed) its rival {organisation} .
He (studied|taught|researched|lectured) at {organisation} for {number} weeks .
A (report|study|survey|leaflet) by {organisation} (warns|shows|claims) the opposite .
She (manages|advises|audits|owns) {organisation} .
The (director|founder|treasurer|owner) of {organisation} (apologised|resigned) .
{organisation} (expects|promises|denies|fears) (losses|delays|higher prices) .
(Buses|Engines|Batteries|Toys) made by {organisation} are (cheap|safe|reliable) .
An (office|agency|account|agreement) of {organisation} was (closed|opened|searched) .
(Our|Their) (partner|customer|tenant|supplier) {organisation} has (paid|moved|won) .
{organisation} , (a start-up|a charity|a family business) , needs {number} volunteers .
The (team|striker|captain|keeper) of {organisation} was (sent off|injured|cheered) .
{organisation} (drew with|defeated|lost to|trained with) {organisation} .
{place} is a (town|village|port|region|country) of {number} (people|souls) .
{place} (lies|sits|stretches) (on a river|by the sea|in a valley|under a volcano) .
(Tourists|Pilgrims|Birds|Soldiers|Students) (flock to|avoid|love|leave) {place} .
The (beaches|streets|museums|forests|schools) of {place} are (empty|famous|crowded) .
(He|She|The family|The circus) (moved|fled|returned|travelled|drove) to {place} .
(It|The storm|The fire|The strike) (began|ended|raged) in {place} .
(Houses|Apples|Winters|Rents) in {place} are (cheap|expensive|long|sweet) .
(North|South|East|West) of {place} the (road|border|river) (bends|ends|divides) .
The (capital|governor|parliament|team) of {place} (changed|resigned|voted|lost) .
From {place} you can (see|reach|hear) the (sea|mountains|bells) .
(Rain|Fog|Heat|Frost) (in|over|around|across) {place} delayed the (harvest|race) .
A (doctor|painter|tailor|merchant) from {place} (found|sold|hid) the (coin|letter) .
(Trains|Letters|Ships|News) from {place} (arrive|come) late .
(Is|Was) {place} (far|pretty|safe|worth a visit) ?
They (stayed|married|camped|rested) (near|outside|in) {place} .
(On|Since|Before|After|Until) {date} the (shop|bridge|pool) (was|stayed) closed .
The (battle|wedding|strike|auction) of {date} (lasted|took) {number} hours .
(Born|Baptised|Buried|Elected) on {date} .
(It|This) was (decided|written|signed|sent|paid) on {date} .
Your (passport|ticket|card|permit) (expires|is valid until) {date} .
(See|Meet|Call|Expect) us on {date} .
The (album|magazine|game|map) (came out|appeared|was released) on {date} .
By {date} all (forms|debts|books) must be (returned|paid|signed) .
{date} was a (Sunday|cold day|holiday|bad year) .
(Dated|Posted|Received|Updated) : {date}
As of {date} , (prices|rules|fees|hours) will (change|rise|fall) .
(Nobody|Somebody|Everybody|Another|Few) (knows|saw|heard|asked) (why|what|it) .
(Many|Some|Most|Several) (people|trees|houses|songs) are older than that .
(First|Second|Then|Finally) , (stir|boil|wash|peel) the (rice|beans|potatoes) .
(Section|Table|Figure|Volume|Lesson) {number} (is|was) (missing|wrong|blank) .
(Great|Good|Bad|Old|New|Big) (ideas|shoes|stories) (come|cost|take) time .
(Do|Would|Could|Should) (you|we|they) (like|need|want) (tea|help|more salt) ?
The (Queen|Prime Minister|Government|Court|Church) (agreed|refused|waited) .
(However|Moreover|Instead|Meanwhile) , (nothing|much|little) (changed|happened) .
There (is|was) (a hole|no light|some milk) in the (cup|house|bucket) .
{person} (said|told us|thinks|believes) that {person} (lives|works) in {place} .
{person} (lives|works|was born|died) in {place} .
{person} (came|comes) from {place} and (lives|works) in {place} .
{person} (went|moved|travelled) to {place} (in|on) {date} .
{person} (met|visited|called|thanked) {person} in {place} on {date} .
{person} (met|visited|called|saw) {person} (yesterday|last week|again) .
(Mr|Mrs|Ms|Dr|Professor) {person} (said|asked|wrote|thinks) so .
(Mr|Mrs|Ms|Dr|Professor) {person} and (Mr|Mrs|Ms|Dr) {person} (came|went) together .
(Mr|Mrs|Ms|Dr) {person} of {organisation} (called|wrote|asked for you) .
(Yesterday|Today|In {date}) (Mr|Ms|Dr) {person} (left|joined) {organisation} .
(Please|Do) (call|ask|tell|thank) (Mr|Mrs|Ms|Dr) {person} .
(Please|Do) (call|ask|tell|thank|help) {person} (today|again|tomorrow) .
(Please|Do) (come|go|write|travel) to {place} (today|soon|in spring) .
(I|We|They) (met|saw|asked|know|called) {person} (at|after) the (meeting|match|party) .
(I|We|They) (visited|left|saw|know|love) {place} (in|before) {date} .
(I|We|They) (live|work|stayed|were) in {place} , not in {place} .
(I|We|They) (work|worked) (for|at|with) {organisation} .
(He|She) (works|worked) for {organisation} and (lives|lived) in {place} .
(He|She) (joined|left) {organisation} (on|in) {date} .
(He|She) (was born|died|married) on {date} in {place} .
(He|She) told {person} about {place} .
(He|She) asked {organisation} for help .
(He|She) (wrote|sent|gave) {person} a (letter|book|map) .
(He|She) (and|or) {person} will (come|go|write) .
{organisation} said on {date} that it would (close|open|sell) its (office|plant|branch) .
{organisation} said {person} would (leave|lead|join) the company .
{organisation} told {organisation} to (pay|wait|leave) .
{organisation} (said|announced|believes) that (sales|profits|prices) will (rise|fall) .
{organisation} (has|opened|closed|sold) (an office|a plant|a branch|a shop) in {place} .
{organisation} (of|from|in) {place} (said|won|lost|paid) .
{organisation} (gave|paid|sent|owes) {person} {number} (euros|shares|books) .
{organisation} and {person} (met|agreed|signed) on {date} .
{organisation} , {organisation} and {organisation} (agreed|met|signed) .
{person} , (director|head|founder|chairman|owner) of {organisation} , (said|left|agreed) .
{person} , (head|founder|a lawyer|a doctor) , (said|told us|wrote) that it was late .
{person} (of|from) {place} (won|lost|came second) .
{person} (of|from) {organisation} (said|told us|asked) (nothing|little|more) .
{person} (is|was|became) (head|chairman|director) of {organisation} .
{person} (is|was) in {place} on {date} .
{person} (bought|sold|founded|leads|left|joined) {organisation} .
{person} (bought|sold|built|left) a house (in|near|outside) {place} .
{person} has (been|lived|worked) in {place} since {date} .
(The company|The bank|The school) was founded by {person} in {date} .
(The company|The bank|The shop) was (sold|given) to {organisation} by {person} .
(The house|The church|The tower) was built by {person} in {place} .
(The letter|The book|The song) by {person} (is|was) (lost|late|long) .
(The parents|The friends|The children) of {person} (live|work) in {place} .
(The people|The mayor|The streets|The winters) of {place} (are|is) (kind|cold|old) .
(The people|The lawyers|The head) of {organisation} (said|met|left) .
(The offices|The owners|The shares) of {organisation} (are|were) (closed|sold) .
(The road|The train|The bus|The flight) (to|from) {place} (is|was) (late|long|slow) .
(A man|A woman|A child) from {place} (met|saw|asked) {person} .
(A man|A woman|A lawyer|A driver) (of|from) {organisation} (met|saw|called) {person} .
(A friend|A cousin|A student|A teacher) of {person} (lives|works) near {place} .
(In|Near|Outside|Around) {place} , (snow|rain) fell on {date} .
(In|Near) {place} , {person} (met|saw|lost) {person} .
(In|At) {place} , {organisation} (opened|closed|built) a (shop|plant|school) .
(On|Since|Until) {date} , {person} (was|worked|lived) in {place} .
(On|After|Before) {date} , {organisation} (was|became) (rich|small|famous) .
(After|Before) {person} , (the head|the captain) was {person} .
(Last|Next) (week|month|year) {person} (goes|went|travels) to {place} .
(Last|Next) (week|month) {organisation} (opens|sells|closes) its (shop|office) in {place} .
According to {person} , {place} is (small|cold|cheap|far) .
According to (a letter|a report|the police) {person} (left|came) on {date} .
According to {organisation} , {person} (left|resigned|was ill) on {date} .
" (It|This) is (good|bad|late) , " {person} (said|told us|wrote) .
" (We|They) will (come|wait) , " said {person} (from|of) {place} .
" (Who|Where) is {person} ? " asked (Mr|Ms|Dr) {person} .
(Who|Nobody) (knows|met|saw|asked) {person} in {place} ?
(Where|When) (did|does|will) {person} (live|work|come|go) ?
(Where|When|Why) (did|does|will) {organisation} (open|close|pay|move) ?
(When|Why) did (you|they|we) (leave|visit|like) {place} ?
(Have|Had) (you|they|we) (met|seen|called|asked) {person} ?
(Have|Had) (you|they|we) (seen|visited|been to) {place} ?
Did {person} (call|write|come|ask) on {date} ?
(Is|Was) {person} (ill|late|at home|in {place}) ?
(Is|Was) it {person} who (said|wrote|asked) that ?
(Not|Only) {person} (but|and) {person} (came|won|left) .
{place} , {place} and {place} (are|were) (cold|far|rich) .
{place} (is|was) (cold|small|old|rich) (in winter|until {date}|then) .
{place} (has|had) a (school|harbour|museum|church) (and|but no) (bridge|road) .
(Between|From) {place} (and|to) {place} there (is|was) a (train|bus|road) .
(Between|From) {date} (and|to) {date} {person} (lived|worked) (in|near) {place} .
(All|Many|Some|Most) (trains|people|letters) (to|from) {place} (are|were) late .
(All|Many|Some) (people|friends) (know|knew) {person} .
(All|Many|Some|Most) (people|workers) (of|at) {organisation} (left|agreed) .
(All|Many|Some|Most) (people|children|doors|books) (are|were) (old|late|small|lost) .
(It|That) (is|was) (late|cold|good|far|a long way|a bad year) .
(I|We|They|You) (know|said|think|believe) that it (is|was) (late|good|far) .
(I|We|They|You) (live|work|wait|sleep) (here|there|at home) .
(He|She|It) (said|asked|wrote|called|came|went|left) (again|nothing|late|alone) .
(The man|The woman|The child|The driver) (said|asked|came|left) (nothing|late) .
(In|At|After|Before) (winter|night|school|work) (we|they|people) (sleep|eat|sing) .
(Please|Do) (come|wait|call|write|sit down) (again|soon|at once) .
(Page|Line|Number|Bus|Platform) {number} (is|was) (late|long|full|empty) .
(He|She|They) (had|bought|sold|ate) {number} (books|apples|shares|stamps) .
(Ask|Tell|Remind|Warn|Thank|Invite) {person} .
(Has|Had|Did) {person} (already|ever|really) (answered|sung|cooked|apologised) ?
(Why|How) (could|would|should) {person} (know|forget|hide|pay) (it|that|them) ?
(Everyone|Nobody|Everybody|Somebody) (in|from|near) {place} (slept|sang|agreed|waited) .
(Everyone|Nobody|Somebody) (at|from) {organisation} (slept|agreed|apologised) .
(Everyone|Nobody|Somebody|Everything) (was|felt|seemed|looked) (late|tired|new|salty) .
(Part|Chapter|Act|Scene|Page) (One|Two|Three|Four|Five) (ends|opens|starts) (here|badly) .
(Captain|Doctor|Judge|Coach|King|Queen|Uncle|Aunt|General) {person} (slept|left|sang) .
(Captain|Doctor|Judge|Coach|Uncle|Aunt|General|Professor) {person} (of|from) {place} .
(The|A) (trial|arrest|victory|defeat|return|death|birth) of {person} (is|was) near .
{person} (beat|defeated|followed|succeeded|replaced) {person} (easily|in {date}|at last) .
{person} lost (against|to|by a point to) {person} .
{person} (won|took|got|refused) (the prize|the vote|the seat|a medal) (on|in) {date} .
(Signed|Sealed|Written|Posted|Printed) (in|at) {place} (on|,) {date} .
(Sent|Seen|Heard|Known) in {place} by {person} .
{place} , (the|on) {date} , (a Monday|at noon|in the rain) .
(Scientists|Doctors|Students|Workers|Drivers|Nurses) (at|of|from) {organisation} (agree|left) .
(Scientists|Doctors|Farmers|Workers|Drivers|Nurses) (in|near|from) {place} (agree|left) .
(Scientists|Doctors|Farmers|Workers|Drivers|Nurses) (agree|sleep|wait|sing) (now|here) .
There (are|were) {number} (employees|letters|glaciers|prisoners|days|shops) (here|left) .
(After|For|In|Within) {number} (days|weeks|hours|years) (it|she|he) (ended|left|returned) .
(Prices|Rents|Sales) in {place} (rose|fell) by {number} (percent|euros|points) .
The (number|price|cost) is {number} , not {number} .
(Order|Room|Gate|House|Extension) (number|no) {number} (is|was) (free|wrong|closed) .
(Send|Give|Bring|Show) {person} the (invoice|bill|list) .
(Send|Give|Bring|Show) the (invoice|bill|list|parcel) to {person} , {place} .
(Send|Give|Bring|Show) the (invoice|bill|list|parcel) to {organisation} , {place} .
To : {person} , {place}
(Contact|Phone|Visit) : {organisation} , {place}
(Author|Editor|Owner|Chair|Speaker) : {person}
{organisation} , {place} , {date}
{person} , {organisation}
{person} , {place}
(Dear|To) (Mr|Ms|Mrs|Dr) {person} , (your|the) (order|letter|invoice) (has|is) (arrived|late) .
(Kind|Best|Warm) (regards|wishes) , {person}
(Lines|Links|Roads|Flights|Tunnels|Pipes) (join|link|connect) {place} (with|and) {place} .
(Halfway|Midway|Somewhere) between {place} and {place} (he|she|we) (stopped|slept) .
(Goods|Grain|Salt|Wool|Oil) (came|went) from {place} to {place} by (ship|sea|land) .
"""

TEMPLATES = TEMPLATES.strip().splitlines()


def split_templates(random):
    """Templates to train with, to validate with and to test with: a list of each."""
    order = random.permutation(len(TEMPLATES))
    cuts = [len(order) * 75 // 100, len(order) * 83 // 100]
    return [[TEMPLATES[i] for i in part] for part in np.split(order, cuts)]


# ----------------------------------------------------------------------------- names


def is_new(word):
    """Whether a word of a name belongs to the new world: three words of ten do."""
    return zlib.crc32(word.casefold().encode()) % 10 < 3


def words(name):
    """The words of a name that say which one it is: those with a capital letter."""
    return [word for word in re.findall(r"[^\W\d_]+", name) if word[0].isupper()]


@functools.cache
def stock(locale):
    """All names of a language, by what they are names of."""
    faker = Faker(locale)
    faker.seed_instance(1)
    for provider in faker.factories[0].get_providers():
        if isinstance(getattr(provider, "cities", None), list):
            # Of a set (it_IT), in an order that is another one in each process.
            provider.cities = sorted(provider.cities)
    draw = {"first": faker.first_name, "last": faker.last_name, "city": faker.city}
    names = {kind: {name() for _ in range(2000)} for kind, name in draw.items()}
    territories = Locale("en").territories.items()
    names["country"] = {name for code, name in territories if code.isalpha()}
    suffixes = {faker.company_suffix() for _ in range(100)}
    # "Kft." with or without its full stop, but not one in the middle ("Sp. z o.o.").
    suffixes = {s if "." in s[:-1] else s.rstrip(".") for s in suffixes}
    return names, sorted(s for s in suffixes if ". " not in s)


class Names:
    """The names of one world, new or known, language by language.

    Args:
        new: Boolean: which world.
    """

    def __init__(self, new):
        self.pools = {}
        for locale in LOCALES:
            names, suffixes = stock(locale)
            self.pools[locale] = {
                kind: [name for name in sorted(pool) if self.belongs(name, new)]
                for kind, pool in names.items()
            }
            self.pools[locale]["suffix"] = suffixes

    @staticmethod
    def belongs(name, new):
        found = words(name)
        return bool(found) and all(is_new(word) == new for word in found)

    def draw(self, kind, locale, random):
        """One name, in a random one of the ways in which such names are written."""
        pools = self.pools[locale]

        def one(pool):
            return pools[pool][random.integers(len(pools[pool]))]

        if kind == "person":
            first, last = one("first"), one("last")
            whole = f"{last} {first}" if locale == "hu_HU" else f"{first} {last}"
            ways = [whole] * 8 + [f"{first[0]}. {last}", last]
        elif kind == "place":
            ways = [one("city")] * 3 + [one("country")]
        elif kind == "organisation":
            last, city = one("last"), one("city")
            ways = [f"{last} {one('suffix')}"] * 4 + [
                f"{last} & {one('last')}",
                f"{last} & {one('last')} {one('suffix')}",
                f"University of {city}",
                f"{city} University",
                f"{last} Institute",
                f"{last} Foundation",
                f"{city} City Council",
                f"FC {city}",
                f"Radio {city}",
                f"Bank of {city}",
                f"{last} Brothers",
            ]
        elif kind == "date":
            return date(locale, random)
        else:
            return str(random.integers(2, 1000))
        return ways[random.integers(len(ways))]


def date(locale, random):
    """A day, a month or a year of the last two centuries, as people write them."""
    day = datetime.date(1825, 1, 1) + datetime.timedelta(int(random.integers(73_000)))
    language = random.choice(["en_GB", "en_US", locale])
    ways = [
        "long",
        "long",
        "medium",
        "full",
        "short",
        "d MMMM",
        "MMMM y",
        "y",
        "y-MM-dd",
    ]
    written = format_date(day, ways[random.integers(len(ways))], locale=language)
    return written.rstrip(".")


# ------------------------------------------------------------------------- sentences


def split_words(text):
    """The words and marks of a text: a list of strings.

    A full stop belongs to an initial ("A.") and to an abbreviation with another one
    inside ("S.A."), and else stands alone.
    """
    abbreviation = r"[^\W\d_]+(?:\.[^\W\d_]+)+\."
    initial = r"\b[^\W\d_]\.(?!\w)"
    word = r"\w+(?:[-'\u2019./]\w+)*"
    return re.findall(rf"{abbreviation}|{initial}|{word}|[^\w\s]", text)


def choose(template, random):
    """The template with one of the alternatives in each pair of brackets."""

    def one(found):
        ways = found[1].split("|")
        return ways[random.integers(len(ways))]

    return re.sub(r"\((.*?)\)", one, template)


def compose(templates, names, count, random):
    """Sentences from templates.

    Args:
        templates: List of strings.
        names: `Names`.
        count: Integer: how many.
        random: `numpy.random.Generator`.

    Returns:
        List of sentences, each a list of words and a list of their tags, in IOB2.
    """
    sentences = []
    for _ in range(count):
        template = choose(templates[random.integers(len(templates))], random)
        locale = LOCALES[random.integers(len(LOCALES))]
        sentence, tags = [], []
        for part in re.split(r"(\{\w+\})", template):
            kind = part.strip("{}") if part.startswith("{") else None
            text = part if kind is None else names.draw(kind, locale, random)
            found = split_words(text)
            sentence += found
            if kind in CLASSES:
                tags += [f"B-{CLASSES[kind]}"]
                tags += [f"I-{CLASSES[kind]}"] * (len(found) - 1)
            else:
                tags += ["O"] * len(found)
        sentences.append((sentence, tags))
    return sentences
