# SPDX-License-Identifier: MIT
# Strings, hashes, compaction, threads and a fork.
require 'digest'
r = Random.new(5)
words = Array.new(60_000) { |i| "word#{r.rand(5000)}" * (1 + i % 3) }
counts = Hash.new(0)
words.each { |w| counts[w] += 1 }
text = counts.sort.map { |k, v| "#{k}=#{v}" }.join("\n")
GC.start
begin
  GC.compact
rescue NotImplementedError
  nil
end
threads = 4.times.map do |n|
  Thread.new do
    (1..3000).inject(+"") { |s, i| s << (i * n).to_s; s.size > 5000 ? s[1000..] : s }.size
  end
end
tree = ->(d) { d == 0 ? [] : [tree.(d - 1), tree.(d - 1)] }
count = ->(t) { t.empty? ? 1 : t.sum { |x| count.(x) } }
pid = fork { GC.start; exit!(words.size % 256) }
Process.wait(pid)
puts Digest::SHA256.hexdigest(text), threads.map(&:value).inspect, count.(tree.(15))
puts $?.exitstatus, (2**5000).to_s.size
