# SPDX-License-Identifier: MIT
# A Ruby program of strings, arrays, hashes and objects. Prints one number, the same in every run.

class Draw
  def initialize(seed)
    @seed = seed
  end

  def below(bound)
    @seed = (@seed * 1103515245 + 12345) % 2147483648
    @seed / 65536 % bound
  end
end

Account = Struct.new(:id, :name, :history, :notes)

def strings(draw, steps)
  live = Array.new(20_000)
  total = 0
  steps.times do |step|
    text = +"item #{step}"
    draw.below(8).times { |at| text << ", part #{at} of #{step}" }
    live[draw.below(live.size)] = text
    total += text.size
  end
  total
end

def accounts(draw, count, steps)
  table = {}
  steps.times do |step|
    id = draw.below(count)
    account = table[id] ||= Account.new(id, "account-#{id}", [], {})
    account.history << [step, draw.below(1000)]
    account.notes["note #{step % 17}"] = "x" * draw.below(300)
    table.delete(id) if account.history.size > 40
  end
  table.sum { |_, account| account.history.size }
end

def words(draw, lines)
  text = Array.new(lines) { Array.new(10) { "w#{draw.below(4000)}" }.join(" ") }.join("\n")
  text.split("\n").flat_map(&:split).group_by(&:itself).sum { |word, all| word.size * all.size }
end

draw = Draw.new(7)
puts strings(draw, 200_000) + accounts(draw, 8_000, 250_000) + words(draw, 25_000)
