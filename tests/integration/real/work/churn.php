<?php
// Arrays, strings, sorting, references in circles, and extensions, which PHP opens with
// RTLD_DEEPBIND: pdo, tokenizer, ctype, iconv.
// SPDX-License-Identifier: MIT
mt_srand(1);
$rows = [];
for ($i = 0; $i < 60000; $i++) {
    $rows["k" . ($i * 7919 % 60013)] = ["id" => $i, "text" => str_repeat(chr(65 + $i % 26), $i % 97)];
}
ksort($rows, SORT_STRING);
$json = json_encode($rows);
$back = json_decode($json, true);
echo count($back), " ", md5($json), " ", $back === $rows ? "same" : "different", "\n";
for ($i = 0; $i < 20000; $i++) {
    $a = new stdClass;
    $b = new stdClass;
    $a->other = $b;
    $b->other = $a;
    $b->text = str_repeat("z", $i % 300);
}
unset($a, $b, $rows);
gc_collect_cycles();
echo preg_replace_callback('/[0-9]+/', fn($m) => strrev($m[0]), substr($json, 0, 60)), "\n";
echo md5(serialize(array_map(fn($r) => $r["id"] ^ strlen($r["text"]), $back))), "\n";
foreach (["pdo" => fn() => count(PDO::getAvailableDrivers()) >= 0,
          "tokenizer" => fn() => count(token_get_all(str_repeat('<?php $a = [1, "b"]; ?>', 3000))),
          "ctype" => fn() => ctype_alpha(str_repeat("a", 100000)),
          "iconv" => fn() => strlen(iconv("UTF-8", "UTF-16LE", str_repeat("ä", 50000)))] as $name => $use) {
    echo $name, " ", extension_loaded($name) ? json_encode($use()) : "is not loaded", "\n";
}
