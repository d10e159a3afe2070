// The calendar windows that a moment lies in, and the limits that hold in them.

/// The kinds of window, shortest first. The raw value is the place in every array of six.
enum RatePeriod: Int, CaseIterable {
    case second, minute, hour, day, month, year

    static let count = 6

    /// Nominal seconds, which order the kinds.
    var seconds: Int {
        switch self {
        case .second: 1
        case .minute: 60
        case .hour: 3600
        case .day: 86_400
        case .month: 2_592_000
        case .year: 31_536_000
        }
    }
}

/// How many requests each kind of window allows.
struct RateLimits: Sendable {
    /// 0: no limit of that kind.
    private(set) var values = InlineArray<6, Int>(repeating: 0)
    /// The longest kind that has a limit; -1: there is none.
    private(set) var longest = -1
    /// Above what a window counts to, a limit is never reached.
    static let countMax = Int(Int32.max) - 1

    subscript(period: Int) -> Int { values[period] }

    mutating func set(_ period: RatePeriod, _ limit: Int) {
        values[period.rawValue] = max(0, limit)
        if limit > 0 { longest = max(longest, period.rawValue) }
    }

    /// Whether requests of this kind of window are counted.
    func counts(_ period: Int) -> Bool { values[period] > 0 && values[period] <= Self.countMax }
}

/// Numbers of the windows (in UTC) that a moment lies in, and when they end.
struct RateWindows {
    /// Unix seconds.
    let now: Int
    /// Grows from one window of a kind to its next; never 0.
    private(set) var numbers = InlineArray<6, UInt32>(repeating: 0)
    /// Unix seconds at which the window is over.
    private(set) var ends = InlineArray<6, Int>(repeating: 0)
    /// When the last of the limited windows is over.
    private(set) var lastEnd = 0

    init(nanoseconds: Int64, limits: RateLimits) {
        let now = max(0, Int(nanoseconds / 1_000_000_000))
        self.now = now
        for period in RatePeriod.allCases where limits[period.rawValue] > 0 {
            let index = period.rawValue
            switch period {
            case .second, .minute, .hour, .day:
                let number = now / period.seconds
                numbers[index] = UInt32(truncatingIfNeeded: number + 1)
                ends[index] = (number + 1) * period.seconds
            case .month, .year:
                let (year, month) = Self.civil(day: now / 86_400)
                if period == .month {
                    numbers[index] = UInt32(truncatingIfNeeded: year * 12 + month)
                    ends[index] = 86_400 * (month == 12 ? Self.firstDay(year + 1, 1) : Self.firstDay(year, month + 1))
                } else {
                    numbers[index] = UInt32(truncatingIfNeeded: year)
                    ends[index] = 86_400 * Self.firstDay(year + 1, 1)
                }
            }
            lastEnd = max(lastEnd, ends[index])
        }
    }

    /// Year and month (1 to 12) of a day counted from 1970-01-01, in the Gregorian calendar. Years are
    /// taken to start in March, so that the leap day is a year's last.
    private static func civil(day: Int) -> (year: Int, month: Int) {
        let shifted = day + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let fromMarch = (5 * dayOfYear + 2) / 153
        let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month)
    }

    /// The first day of a month, counted from 1970-01-01.
    private static func firstDay(_ year: Int, _ month: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let fromMarch = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * fromMarch + 2) / 5
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
