"""Names of months and weekdays in the languages whose dates are read."""

#: Names of the months without accents, in English, German, French, Spanish, Italian, Portuguese, Dutch,
#: Scandinavian, Polish, Russian and Turkish; what they begin with is enough, unless it says another month
#: elsewhere.
_MONTHS = (
    "jan janv january januar januari janvier enero ene gennaio gen janeiro"
    " stycznia sty янв январь января ocak",
    "feb fev febr fevr february februar februari fevrier febrero febbraio fevereiro lutego"
    " lut фев февр февраль февраля subat",
    "mar mrz mrt march marz maerz maart mars marzo marco marts marca март марта мар mart",
    "apr avr abr april avril abril aprile kwietnia kwi апр апрель апреля nisan",
    "may mai mei mayo maggio mag maio maj maja маи мая mayıs",
    "jun june juni juin junio giugno giu junho czerwca cze июн июнь июня haziran",
    "jul july juli juillet juil julio luglio lug julho lipca lip июл июль июля temmuz",
    "aug aou ago august augustus aout agosto augusti sierpnia sie авг август августа agustos",
    "sep sept set september septembre septiembre settembre setembro wrzesnia wrz"
    " сен сент сентябрь сентября eylul",
    "oct okt ott out october oktober octobre octubre ottobre outubro"
    " pazdziernika paz окт октябрь октября ekim",
    "nov november novembre noviembre novembro listopada lis ноя нояб ноябрь ноября kasım",
    "dec dez dic december dezember decembre diciembre dicembre dezembro grudnia"
    " gru дек декабрь декабря aralık",
)
MONTH_OF = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names.split()}
#: Weekdays in the same languages, without accents. After other words there is no date: "ip 10.1.2020".
WEEKDAYS = (
    r"[a-zø]{3,7}(?:day|dag|tag|di)|mon|tue?s?|wed|thu?r?s?|fri?|sat?|sun|m[oiae]|d[io]|so|w[ot]|v[re]n?"
    r"|z[ao]|lun|mar|mi?er?|jeu|sam|dim|jue|vie|sab|dom|gio|ven|ter|qu[ai]|sex|tirs?|ons|tors|fre|l[oø]r"
    r"|s[oø]n|mittwoch|sonnabend|dimanche|sabato|domenica|lunes|martes|miercoles|jueves|viernes|sabado"
    r"|domingo|(?:segunda|terca|quarta|quinta|sexta)(?:-feira)?|poniedziałek|wtorek|sroda|czwartek|piatek"
    r"|sobota|niedziela|pon|sr|czw|pt|nd|понедельник|вторник|среда|четверг|пятница|суббота|воскресенье"
    r"|пн|вт|ср|чт|пт|сб|вс|pazartesi|salı|carsamba|persembe|cuma|cumartesi|pazar"
)
